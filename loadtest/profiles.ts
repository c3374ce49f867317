import type { Group, MessageShape, Stage } from "./k6/lib/plan.ts";
import { modelMs } from "./k6/lib/plan.ts";
import { SLOS } from "./slos.ts";
import type { Selector, Threshold } from "./threshold.ts";

export interface ProfileGroup extends Omit<Group, "tenants"> {
  /** How many tenants its clients are dealt out over; those of different groups are different. */
  readonly tenantCount: number;
}

/** A load as a value: who comes, how often, for how long, and what must hold. Sized for a machine of two cores. */
export interface Profile {
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly claim: string;
  /** Messages per second of all groups in the normal phase; `--rate` sets another one, and every stage follows. */
  readonly rate: number;
  readonly groups: readonly ProfileGroup[];
  readonly connectSeconds: number;
  readonly drainSeconds: number;
  readonly runTimeoutMs: number;
  readonly thresholds: readonly Threshold[];
  /** Says at which rate the first promise broke. */
  readonly findsLimit?: true;
}

/** A short answer: 50 ms to the first of five pieces, 50 ms between them. */
const SHORT: MessageShape = { latencyMs: 50, chunks: 5, delayMs: 50, paddingBytes: 200 };
/** Three seconds of streaming: there is always something under way that a broken connection interrupts. */
const STREAM: MessageShape = { latencyMs: 50, chunks: 31, delayMs: 100, paddingBytes: 2_000 };
const MEGABYTE: MessageShape = { latencyMs: 50, chunks: 4, delayMs: 50, paddingBytes: 1_000_000 };

const constant = (phase: string, seconds: number, rate: number): Stage => ({
  phase,
  seconds,
  from: rate,
  to: rate,
});

const group = (given: Partial<ProfileGroup> & Pick<ProfileGroup, "clients" | "stages">): ProfileGroup => ({
  name: "users",
  tenantCount: 1,
  clientsPerVu: 10,
  message: SHORT,
  mix: { history: 0.1, abort: 0.02 },
  reconnect: null,
  ...given,
});

const time = (
  name: string,
  metric: Extract<Threshold, { kind: "time" }>["metric"],
  maxMs: number,
  of: Selector = {},
): Threshold => ({ kind: "time", name: `${name} p99`, metric, stat: "p99", of, maxMs });

/** No request may fail in a way that nobody planned, and none by a fault of the load test itself. */
const NO_FAILURES: readonly Threshold[] = [
  { kind: "share", name: "unplanned failures", errors: "unplanned", max: SLOS.unplannedShare },
  { kind: "share", name: "the generator's own faults", errors: "client", max: 0 },
];

/** What users of a service that is not overloaded are promised. */
const promised = (shape: MessageShape, of: Selector = {}, when = ""): Threshold[] => [
  time(`acknowledgement${when}`, "ack", SLOS.ackP99Ms, of),
  time(`queue wait${when}`, "queue_wait", SLOS.queueWaitP99Ms, of),
  time(`first delta${when}`, "first_delta", shape.latencyMs + SLOS.firstDeltaOverheadP99Ms, of),
  time(`end to end${when}`, "end_to_end", modelMs(shape) + SLOS.endToEndOverheadP99Ms, of),
];

const COMMON = { connectSeconds: 2, drainSeconds: 30, runTimeoutMs: 60_000 };

export const PROFILES: readonly Profile[] = [
  {
    ...COMMON,
    name: "smoke",
    claim: "Everything that a client does works once: send, stream, history, abort, reconnect, probes.",
    rate: 5,
    connectSeconds: 1,
    groups: [
      group({
        clients: 8,
        clientsPerVu: 4,
        stages: [constant("steady", 10, 5)],
        mix: { history: 0.2, abort: 0.1 },
        reconnect: { everySeconds: 4, together: false },
      }),
    ],
    thresholds: [...NO_FAILURES, ...promised(SHORT)],
  },
  {
    ...COMMON,
    name: "steady",
    claim: "An ordinary minute keeps every promise.",
    rate: 20,
    groups: [group({ clients: 40, stages: [constant("steady", 60, 20)] })],
    thresholds: [
      ...NO_FAILURES,
      ...promised(SHORT),
      time("history", "history", SLOS.historyP99Ms),
      time("abort", "abort", SLOS.abortP99Ms),
    ],
  },
  {
    ...COMMON,
    name: "burst",
    claim: `Ten times the load within five seconds fails nothing, and ${SLOS.burstRecoverySeconds} s after it waiting is as short as before.`,
    rate: 7,
    groups: [
      group({
        clients: 50,
        stages: [
          constant("before", 20, 5),
          { phase: "burst", seconds: 5, from: 5, to: 50 },
          constant("burst", 20, 50),
          constant("recovery", SLOS.burstRecoverySeconds, 5),
          constant("after", 20, 5),
        ],
      }),
      group({
        name: "quiet",
        tenantCount: 2,
        clients: 8,
        stages: [
          constant("before", 20, 2),
          constant("burst", 25, 2),
          constant("recovery", SLOS.burstRecoverySeconds, 2),
          constant("after", 20, 2),
        ],
      }),
    ],
    thresholds: [
      ...NO_FAILURES,
      ...promised(SHORT, { phase: "before" }, " before"),
      ...promised(SHORT, { phase: "after" }, " after"),
      {
        kind: "ratio",
        name: "queue wait p99 of quiet tenants, in the burst to before",
        metric: "queue_wait",
        stat: "p99",
        of: { class: "quiet", phase: "burst" },
        against: { class: "quiet", phase: "before" },
        maxTimes: SLOS.quietWaitRatio,
        floorMs: SLOS.quietWaitFloorMs,
      },
    ],
  },
  {
    ...COMMON,
    name: "ramp-to-limit",
    claim: "Past the limit of the machine the service slows down or refuses, and fails nothing.",
    rate: 5,
    // What queues past the limit has not failed: it is waited for.
    drainSeconds: 240,
    runTimeoutMs: 600_000,
    groups: [
      group({
        clients: 100,
        clientsPerVu: 20,
        stages: [
          constant("ramp", 10, 5),
          { phase: "ramp", seconds: 120, from: 5, to: 200 },
          constant("recovery", 20, 5),
        ],
        mix: { history: 0.05, abort: 0 },
      }),
    ],
    thresholds: [...NO_FAILURES],
    findsLimit: true,
  },
  {
    ...COMMON,
    name: "soak",
    claim: "After half an hour everything is as fast as at its beginning.",
    rate: 10,
    groups: [
      group({
        clients: 30,
        stages: [
          constant("first-third", 600, 10),
          constant("second-third", 600, 10),
          constant("last-third", 600, 10),
        ],
        reconnect: { everySeconds: 300, together: false },
      }),
    ],
    thresholds: [
      ...NO_FAILURES,
      ...promised(SHORT),
      time("reconnect gap", "reconnect_gap", SLOS.reconnectGapP99Ms),
      {
        kind: "ratio",
        name: "end to end p95, last third to first",
        metric: "end_to_end",
        stat: "p95",
        of: { phase: "last-third" },
        against: { phase: "first-third" },
        maxTimes: 1.5,
        floorMs: modelMs(SHORT) + 100,
      },
    ],
  },
  {
    ...COMMON,
    name: "reconnect-storm",
    claim:
      "Every client loses its connection at the same moment, again and again, and no answer loses a word.",
    rate: 15,
    groups: [
      group({
        clients: 100,
        clientsPerVu: 20,
        message: STREAM,
        stages: [constant("storm", 45, 15)],
        mix: { history: 0.1, abort: 0 },
        reconnect: { everySeconds: 10, together: true },
      }),
    ],
    thresholds: [
      ...NO_FAILURES,
      time("reconnect gap", "reconnect_gap", SLOS.reconnectGapP99Ms),
      time("connect", "connect", SLOS.connectP99Ms),
      time("end to end", "end_to_end", modelMs(STREAM) + SLOS.endToEndOverheadP99Ms),
    ],
  },
  {
    ...COMMON,
    name: "many-tenants",
    claim: "A tenant that floods the service makes its neighbours wait no longer than twice as long.",
    rate: 4,
    // What the flood leaves behind is worked off: slowly, but none of it is lost.
    drainSeconds: 60,
    runTimeoutMs: 120_000,
    groups: [
      group({
        name: "quiet",
        tenantCount: 8,
        clients: 16,
        stages: [constant("alone", 25, 4), constant("noise", 35, 4)],
      }),
      group({
        name: "noisy",
        clients: 40,
        clientsPerVu: 20,
        message: { ...SHORT, chunks: 21 },
        stages: [constant("alone", 25, 0), constant("noise", 35, 70)],
        mix: { history: 0, abort: 0 },
      }),
    ],
    thresholds: [
      ...NO_FAILURES,
      ...promised(SHORT, { class: "quiet", phase: "alone" }, " of quiet tenants alone"),
      time("acknowledgement of quiet tenants in the noise", "ack", SLOS.ackP99Ms, {
        class: "quiet",
        phase: "noise",
      }),
      {
        kind: "ratio",
        name: "queue wait p99 of quiet tenants, in the noise to alone",
        metric: "queue_wait",
        stat: "p99",
        of: { class: "quiet", phase: "noise" },
        against: { class: "quiet", phase: "alone" },
        maxTimes: SLOS.quietWaitRatio,
        floorMs: SLOS.quietWaitFloorMs,
      },
    ],
  },
  {
    ...COMMON,
    name: "big-messages",
    claim: "Messages and answers of a megabyte pass whole, and small ones do not wait behind them.",
    rate: 2.5,
    groups: [
      group({ name: "small", clients: 10, stages: [constant("steady", 40, 2)] }),
      group({
        name: "big",
        clients: 5,
        clientsPerVu: 1,
        message: MEGABYTE,
        stages: [constant("steady", 40, 0.5)],
        mix: { history: 0, abort: 0 },
      }),
    ],
    thresholds: [
      ...NO_FAILURES,
      time("acknowledgement of small messages", "ack", SLOS.ackP99Ms, { class: "small" }),
      time("acknowledgement of big messages", "ack", SLOS.bigMessageAckP99Ms, { class: "big" }),
      time("end to end of small messages", "end_to_end", modelMs(SHORT) + SLOS.endToEndOverheadP99Ms, {
        class: "small",
      }),
      time("end to end of big messages", "end_to_end", modelMs(MEGABYTE) + SLOS.bigMessageOverheadP99Ms, {
        class: "big",
      }),
    ],
  },
  {
    ...COMMON,
    name: "idle-sockets",
    claim: "A thousand connections that say nothing stay open and cost the others nothing.",
    rate: 5,
    connectSeconds: 10,
    groups: [
      group({ name: "idle", clients: 1_000, clientsPerVu: 100, stages: [constant("steady", 40, 0)] }),
      group({ name: "active", clients: 10, stages: [constant("steady", 40, 5)] }),
    ],
    thresholds: [
      ...NO_FAILURES,
      time("connect", "connect", SLOS.connectP99Ms),
      ...promised(SHORT, { class: "active" }, " of active clients"),
    ],
  },
];

export const DEFAULT_PROFILE = "smoke";
