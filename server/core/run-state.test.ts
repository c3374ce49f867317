import { describe, expect, it } from "vitest";
import { isHAError } from "./errors.ts";
import type { RunStatus } from "./run.ts";
import { isEnded, nextRunStatus, RUN_MOVES, type RunMove } from "./run-state.ts";

const STATUSES = Object.keys(RUN_MOVES) as RunStatus[];
const MOVES = [
  "claim",
  "merge",
  "release",
  "lose",
  "succeed",
  "fail",
  "time_out",
  "abort",
  "bury",
  "redrive",
] as const satisfies RunMove[];

/** The life of a run, written down a second time: a change of the table has to be meant. */
const LEGAL: Readonly<Record<string, RunStatus>> = {
  "queued claim": "running",
  "queued merge": "succeeded",
  "queued abort": "aborted",
  "running release": "queued",
  "running lose": "queued",
  "running bury": "dead",
  "running succeed": "succeeded",
  "running fail": "failed",
  "running time_out": "timed_out",
  "running abort": "aborted",
  "timed_out redrive": "queued",
  "failed redrive": "queued",
  "dead redrive": "queued",
};

const outcome = (status: RunStatus, move: RunMove): string => {
  try {
    return nextRunStatus(status, move);
  } catch (error) {
    return isHAError(error) ? error.code : String(error);
  }
};

describe("run states", () => {
  const pairs = STATUSES.flatMap((status) => MOVES.map((move) => [status, move] as const));

  it.each(pairs)("decide what a %s run does at `%s`", (status, move) => {
    expect(outcome(status, move)).toBe(LEGAL[`${status} ${move}`] ?? "TRANSITION_INVALID");
  });

  it("say which move was refused to which run", () => {
    const refusal = {
      message: "a succeeded run cannot redrive",
      details: { status: "succeeded", move: "redrive" },
    };
    expect(() => nextRunStatus("succeeded", "redrive")).toThrow(expect.objectContaining(refusal));
  });

  it("name every status and every move", () => {
    expect(STATUSES).toHaveLength(7);
    const used = new Set(STATUSES.flatMap((status) => Object.keys(RUN_MOVES[status])));
    expect([...used].sort()).toEqual([...MOVES].sort());
  });

  it("end where only a redrive leads on", () => {
    for (const status of STATUSES) {
      const moves = Object.keys(RUN_MOVES[status]);
      expect(isEnded(status)).toBe(moves.every((move) => move === "redrive"));
    }
  });

  it("lead back to the queue from everything that a retry may heal, and from nothing that was answered or given up", () => {
    const redrivable = STATUSES.filter((status) => "redrive" in RUN_MOVES[status]);
    expect(redrivable.sort()).toEqual(["dead", "failed", "timed_out"]);
  });
});
