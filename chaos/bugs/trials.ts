import type { PromiseName } from "../validators/validator.ts";
import { BACKGROUND_TRIALS } from "./background-trials.ts";
import type { Edit, Trial } from "./planted-bug.ts";
import { QUIET, SMALL } from "./trial-parts.ts";

const EVERYTHING: readonly PromiseName[] = [
  "exclusive",
  "no-lost-ack",
  "idempotent",
  "fifo",
  "resumable",
  "isolated",
  "honest-degradation",
];

/** Leases of 2.5 s instead of 10: a worker that is paused is replaced in seconds. */
const SHORT_LEASES: readonly Edit[] = [
  {
    file: "server/core/lease.ts",
    find: "LEASE_TTL_MS = 10_000",
    replace: "LEASE_TTL_MS = 2_500",
  },
  {
    file: "server/core/lease.ts",
    find: "HEARTBEAT_INTERVAL_MS = 3_000",
    replace: "HEARTBEAT_INTERVAL_MS = 600",
  },
  {
    file: "server/core/lease.ts",
    find: "LEASE_MARGIN_MS = 2_000",
    replace: "LEASE_MARGIN_MS = 600",
  },
];

/** Runs that are longer than the drain's grace have to be handed over. */
const SHORT_DRAIN: readonly Edit[] = [
  {
    file: "server/supervisor/instances.ts",
    find: "DRAIN_GRACE_MS = 10_000",
    replace: "DRAIN_GRACE_MS = 300",
  },
];

/** The tool of pay-tool.ts, which takes its time and may not be repeated. */
const PAY_TOOL: readonly Edit[] = [
  {
    file: "server/worker/main.ts",
    find: 'import { slots } from "./slots.ts";',
    replace: 'import { slots } from "./slots.ts";\nimport { payTool } from "../../chaos/bugs/pay-tool.ts";',
  },
  {
    file: "server/worker/main.ts",
    find: "tools: deps.tools ?? (() => []),",
    replace: "tools: payTool,",
  },
];

/** The wall clock of worker-1 is a minute slow, in its process and in the thread that sends its heartbeats. */
const SLOW_CLOCK: readonly Edit[] = ["server/serve.ts", "server/worker/heartbeat-thread.ts"].map((file) => ({
  file,
  find: file.endsWith("serve.ts")
    ? 'import { openPorts, openWorkerParts, type Ports } from "./wiring.ts";'
    : 'import { watchdog } from "./watchdog.ts";',
  replace: `${
    file.endsWith("serve.ts")
      ? 'import { openPorts, openWorkerParts, type Ports } from "./wiring.ts";'
      : 'import { watchdog } from "./watchdog.ts";'
  }\nconst rightNow = Date.now;\nif (process.env["OPENCLAW_HA_INSTANCE"] === "worker-1") Date.now = () => rightNow() - 60_000;`,
}));

/** What shows planted bugs: each a few seconds of traffic, as small as it can be. */
export const TRIALS: readonly Trial[] = [
  {
    name: "busy",
    claim: "Clients that repeat, conflict, listen and look back get what they are promised.",
    topology: SMALL,
    traffic: {
      tenants: 3,
      sessions: 3,
      clients: 6,
      perSecond: 25,
      hot: 0.3,
      directives: ["chunks=3 delay=30", "recall", "chunks=2 delay=10"],
      mix: { ...QUIET, duplicates: 0.15, conflicts: 0.15, histories: 0.15, followers: 0.2, lostAnswers: 0.1 },
    },
    durationMs: 3_500,
    faults: [],
    // Nothing breaks, so nothing has to be waited for: what is not answered by then never will be.
    settleWithinMs: 10_000,
    validators: EVERYTHING,
    needs: [],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
  {
    name: "two-tenants",
    claim: "Two tenants with sessions of one name, served by the same processes, never read each other.",
    topology: { ...SMALL, gateways: 1, workers: 1 },
    traffic: {
      tenants: 2,
      sessions: 2,
      clients: 4,
      perSecond: 20,
      hot: 0,
      // The answer repeats what the model was sent of the conversation.
      directives: ["recall"],
      mix: { ...QUIET, histories: 0.1 },
    },
    durationMs: 2_000,
    faults: [],
    // As above.
    settleWithinMs: 10_000,
    validators: EVERYTHING,
    needs: [],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
  {
    name: "worker-killed",
    claim: "Workers that are killed and connections that are cut in the middle of answers cost no event.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 2,
      clients: 6,
      perSecond: 5,
      hot: 0.4,
      directives: ["chunks=12 delay=90"],
      mix: { ...QUIET, followers: 0.6 },
    },
    durationMs: 3_400,
    faults: [
      { atMs: 900, fault: { kind: "reconnect-storm", clients: 6, times: 4 } },
      { atMs: 1_800, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
      { atMs: 3_200, fault: { kind: "reconnect-storm", clients: 6, times: 4 } },
    ],
    // A takeover costs a second, and the hot session then has several runs to go through.
    settleWithinMs: 25_000,
    validators: EVERYTHING,
    needs: ["signal"],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
  {
    name: "worker-paused",
    claim: "A worker that wakes from a pause longer than its lease writes nothing any more.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 1,
      clients: 4,
      perSecond: 1.6,
      hot: 0.7,
      directives: ["chunks=50 delay=80"],
      mix: QUIET,
    },
    durationMs: 1_200,
    faults: [{ atMs: 1_000, fault: { kind: "pause", subject: "holder", forMs: 4_600 } }],
    // Several runs of four seconds wait in one session.
    settleWithinMs: 45_000,
    validators: EVERYTHING,
    needs: ["signal"],
    seed: 12,
    equipment: SHORT_LEASES,
    hasTools: false,
  },
  {
    name: "postgres-killed",
    claim: "While PostgreSQL is away nothing is acknowledged, and what was is not lost.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 4,
      clients: 4,
      perSecond: 30,
      hot: 0.1,
      directives: ["chunks=3 delay=60"],
      mix: QUIET,
    },
    durationMs: 2_500,
    faults: [{ atMs: 1_000, fault: { kind: "signal", subject: "postgres", signal: "SIGKILL" } }],
    // PostgreSQL recovers in a second or two; then everything that waited is done at once.
    settleWithinMs: 25_000,
    validators: EVERYTHING,
    needs: ["stores"],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
  {
    name: "worker-drained",
    claim: "A worker that is told to leave hands its unfinished runs over.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 3,
      clients: 4,
      perSecond: 5,
      hot: 0.3,
      directives: ["chunks=15 delay=100"],
      mix: QUIET,
    },
    durationMs: 2_200,
    faults: [{ atMs: 1_600, fault: { kind: "signal", subject: "holder", signal: "SIGTERM" } }],
    // Runs of a second and a half, begun anew by another worker, a few of them in one session.
    settleWithinMs: 20_000,
    validators: EVERYTHING,
    needs: ["signal"],
    seed: 11,
    equipment: SHORT_DRAIN,
    hasTools: false,
  },
  {
    name: "slow-clock",
    claim: "The wall clock of a worker decides nothing.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 4,
      clients: 4,
      perSecond: 12,
      hot: 0,
      directives: ["chunks=12 delay=90"],
      mix: QUIET,
    },
    durationMs: 3_000,
    faults: [],
    // Nothing is broken: all sessions have a few runs of a second, so that both workers are busy at each heartbeat.
    settleWithinMs: 20_000,
    validators: EVERYTHING,
    needs: [],
    seed: 11,
    equipment: SLOW_CLOCK,
    hasTools: false,
  },
  {
    name: "tool-interrupted",
    claim: "A tool that may not be repeated is not, when its worker is killed while it works.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 2,
      clients: 4,
      perSecond: 4,
      hot: 0.5,
      directives: ['tool=pay{"ms":700}'],
      mix: QUIET,
    },
    durationMs: 2_500,
    faults: [{ atMs: 1_300, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } }],
    // A second for the takeover, then what waits in the hot session.
    settleWithinMs: 25_000,
    validators: ["exclusive", "no-lost-ack", "no-silent-repetition"],
    needs: ["signal"],
    seed: 13,
    equipment: PAY_TOOL,
    hasTools: true,
  },
  ...BACKGROUND_TRIALS,
];

/** @throws Error for a name that no trial has: a mistake in the catalogue */
export function trialOf(name: string): Trial {
  const trial = TRIALS.find((one) => one.name === name);
  if (trial === undefined) throw new Error(`there is no trial ${name}`);
  return trial;
}
