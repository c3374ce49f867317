import { ALL_PROMISES, PAIR } from "../scenarios/common.ts";
import { defineScenario, type Scenario, type TimedFault } from "../scenario.ts";
import { factsOf, type Operation } from "../validators/facts.ts";
import type { Evidence } from "../validators/validator.ts";
import type { Thoroughness } from "./criterion.ts";

/** What the customer asks for: at most one request in a thousand fails unplanned. */
export const UNPLANNED_SHARE_MAX = 0.001;
/** Failures are also counted in windows of so long, so that a bad moment is not hidden by good hours. */
export const WINDOW_MS = 10_000;
/** A client that repeats its request as the protocol wants it gives up after so long; then the request has failed. */
export const PATIENCE_MS = 5_000;

const MINUTES: Readonly<Record<Thoroughness, number>> = { quick: 0.75, full: 5 };
const MINUTE_MS = 60_000;

/** Steady load while one gateway and one worker die every minute. */
export function availabilityScenario(how: Thoroughness): Scenario {
  const durationMs = MINUTES[how] * MINUTE_MS;
  const faults: TimedFault[] = [];
  for (let minute = 0; minute * MINUTE_MS < durationMs; minute++) {
    const at = minute * MINUTE_MS;
    faults.push(
      { atMs: at + 12_000, fault: { kind: "signal", subject: "any-gateway", signal: "SIGKILL" } },
      { atMs: at + 32_000, fault: { kind: "signal", subject: "any-worker", signal: "SIGKILL" } },
    );
  }
  return defineScenario({
    name: "accept-availability",
    claim:
      "Of a thousand requests at most one fails unplanned while a gateway and a worker die every minute.",
    topology: PAIR,
    traffic: {
      tenants: 2,
      sessions: 20,
      clients: 12,
      perSecond: 15,
      hot: 0,
      directives: ["chunks=3 delay=20", "chunks=6 delay=40"],
      mix: {
        duplicates: 0,
        conflicts: 0,
        aborts: 0.02,
        interrupts: 0,
        histories: 0.2,
        followers: 0.1,
        lostAnswers: 0,
        reordered: 0,
      },
    },
    durationMs,
    faults,
    // A takeover takes about a second, a restart of a process a few; the rest is room for a busy machine.
    settleWithinMs: 30_000,
    validators: ALL_PROMISES,
    needs: ["signal"],
  });
}

export interface Availability {
  readonly requests: number;
  /** Requests without an answer within PATIENCE_MS of the first try, repeated as the protocol wants it. */
  readonly failed: number;
  /** Single tries whose answer was lost with their connection; the client's next try is not counted here. */
  readonly lostTries: number;
  readonly windows: number;
  /** Windows in which more than the allowed share of requests failed. */
  readonly badWindows: number;
  /** 0 to 1, of requests. */
  readonly share: number;
  readonly slowestMs: number;
}

/** Counts what clients wanted, not how often they asked: all tries under one key are one request. */
export function availabilityOf(evidence: Evidence): Availability {
  const { operations } = factsOf(evidence);
  const requests = [...Map.groupBy(operations.filter(isRequest), requestOf).values()];
  const windows = new Map<number, { requests: number; failed: number }>();
  let slowestMs = 0;
  let failed = 0;
  for (const tries of requests) {
    const begun = Math.min(...tries.map(({ at }) => at));
    const answers = tries.flatMap(({ completedAt, outcome }) =>
      outcome === "ok" && completedAt !== null ? [completedAt - begun] : [],
    );
    const took = answers.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...answers);
    const isFailure = took > PATIENCE_MS;
    if (isFailure) failed++;
    if (answers.length > 0) slowestMs = Math.max(slowestMs, took);
    const n = Math.floor(begun / WINDOW_MS);
    const window = windows.get(n) ?? { requests: 0, failed: 0 };
    windows.set(n, { requests: window.requests + 1, failed: window.failed + (isFailure ? 1 : 0) });
  }
  return {
    requests: requests.length,
    failed,
    lostTries: operations.filter(({ outcome }) => outcome === "lost").length,
    windows: windows.size,
    badWindows: [...windows.values()].filter((one) => one.failed > one.requests * UNPLANNED_SHARE_MAX).length,
    share: requests.length === 0 ? 0 : (requests.length - failed) / requests.length,
    slowestMs: Math.round(slowestMs),
  };
}

/** What the recording client asks for once, and does not repeat when its connection is lost on the way. */
const ASKED_ONCE: ReadonlySet<string> = new Set(["history", "abort"]);

/**
 * What a client of the API asks for. Following a run again is part of a reconnect and not counted for itself; nor is
 * a read or an abort that was lost and that nobody repeated, which is no more than a lost try.
 */
const isRequest = ({ intent, method, outcome }: Operation): boolean =>
  method !== "follow" && intent !== "conflict" && !(ASKED_ONCE.has(method) && outcome === "lost");

/** All tries of one request have its name: sends their key, the others each a name of their own. */
const requestOf = ({ key, method, op, tenant }: Operation): string =>
  method === "send" && key !== null ? `send ${tenant} ${key}` : `${method} ${op}`;
