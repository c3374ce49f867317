import { PAIR } from "../scenarios/common.ts";
import { defineScenario, type Scenario } from "../scenario.ts";
import { factsOf, isTerminal, nameOf } from "../validators/facts.ts";
import type { Evidence } from "../validators/validator.ts";
import type { Thoroughness } from "./criterion.ts";

export const TENANTS_MIN = 20;
export const SESSIONS_MIN = 1_000;

const SECONDS: Readonly<Record<Thoroughness, number>> = { quick: 32, full: 90 };
const SENDS_PER_SECOND = 60;

/**
 * Many sessions of many tenants at once, most of them under the same session keys, each message with its tenant's
 * canary, while a gateway and a worker are killed.
 */
export function crossTalkScenario(how: Thoroughness): Scenario {
  const durationMs = SECONDS[how] * 1_000;
  return defineScenario({
    name: "accept-cross-talk",
    claim:
      "Under load and kills no byte of one tenant reaches another: no frame, no history, no object, no log.",
    topology: PAIR,
    traffic: {
      tenants: TENANTS_MIN,
      // Twice as many as are asked for, because chance leaves some of them out.
      sessions: (2 * SESSIONS_MIN) / TENANTS_MIN,
      clients: 2 * TENANTS_MIN,
      perSecond: SENDS_PER_SECOND,
      hot: 0,
      directives: ["chunks=2 delay=20", "chunks=3"],
      mix: {
        duplicates: 0.02,
        conflicts: 0.02,
        aborts: 0,
        interrupts: 0,
        histories: 0.1,
        followers: 0.1,
        lostAnswers: 0.02,
        reordered: 0,
        large: 0.01,
      },
    },
    durationMs,
    faults: [
      { atMs: durationMs * 0.3, fault: { kind: "signal", subject: "any-gateway", signal: "SIGKILL" } },
      { atMs: durationMs * 0.6, fault: { kind: "signal", subject: "any-worker", signal: "SIGKILL" } },
    ],
    // Thousands of runs may be queued when a worker dies.
    settleWithinMs: 120_000,
    validators: ["isolated", "no-lost-ack", "idempotent"],
    needs: ["signal"],
  });
}

/** How wide the net was: a run counts where it has ended. */
export function breadthOf(evidence: Evidence): {
  readonly tenants: number;
  readonly sessions: number;
  readonly runs: number;
} {
  const ended = [...factsOf(evidence).runs.values()].filter(isTerminal);
  return {
    tenants: new Set(ended.map(({ tenant }) => tenant)).size,
    sessions: new Set(ended.map(({ sessionKey, tenant }) => nameOf(tenant, sessionKey))).size,
    runs: ended.length,
  };
}
