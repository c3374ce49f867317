import { afterAll, beforeAll, expect, it } from "vitest";
import { type Difference, lineOf } from "./compare.ts";
import { DIFFERENCES } from "./differences/index.ts";
import { judge } from "./documented.ts";
import { play } from "./play.ts";
import { startTargets, type Targets } from "./targets.ts";

/** How often everything is played, on the same two; more than once looks for what depends on chance. */
const TIMES = Number(process.env["OPENCLAW_HA_CONFORMANCE_TIMES"] ?? 1);
const PLAY_MS = 180_000;

let targets: Targets;

beforeAll(async () => {
  targets = await startTargets();
});
afterAll(() => targets?.close());

/** With what both were seen to do, so that a reader need not play it again. */
const told = (difference: Difference): string => {
  const short = (value: unknown): string => JSON.stringify(value)?.slice(0, 200) ?? "nothing";
  return `${lineOf(difference)}\n    genuine: ${short(difference.genuine)}\n    pool:    ${short(difference.pool)}`;
};

it.for(Array.from({ length: TIMES }, (_, n) => n + 1))(
  "the pool does what the genuine gateway does, but for what COMPATIBILITY.md says (play %i)",
  { timeout: PLAY_MS },
  async () => {
    const { differences, failures } = await play(targets);
    const { undocumented, gone } = judge(differences, DIFFERENCES);
    expect(failures).toEqual([]);
    expect(undocumented.map(told)).toEqual([]);
    expect(gone, "documented, and no longer there").toEqual([]);
  },
);
