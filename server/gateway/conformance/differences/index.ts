import type { Documented } from "../documented.ts";
import { connectionDifferences } from "./connection.ts";
import { eventDifferences } from "./events.ts";
import { leniencyDifferences } from "./leniency.ts";
import { methodDifferences } from "./methods.ts";
import { rowDifferences } from "./rows.ts";

/** Every difference that is meant. COMPATIBILITY.md holds the same ids and words; a test compares the two. */
export const DIFFERENCES: readonly Documented[] = [
  ...connectionDifferences,
  ...leniencyDifferences,
  ...methodDifferences,
  ...rowDifferences,
  ...eventDifferences,
];
