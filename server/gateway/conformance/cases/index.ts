import type { ConformanceCase } from "../script.ts";
import { agentCases } from "./agent.ts";
import { catalogCases } from "./catalog.ts";
import { chatCases } from "./chat.ts";
import { connectCases } from "./connect.ts";
import { cronCases } from "./cron.ts";
import { frameCases } from "./frames.ts";
import { runCases } from "./runs.ts";
import { sessionCases } from "./sessions.ts";
import { systemCases } from "./system.ts";

/** Every script that is played on both gateways. A new method needs a case here; a test says which one is missing. */
export const CASES: readonly ConformanceCase[] = [
  ...connectCases,
  ...frameCases,
  ...systemCases,
  ...catalogCases,
  ...cronCases,
  ...chatCases,
  ...agentCases,
  ...sessionCases,
  ...runCases,
];
