import { describe, expect, it } from "vitest";
import { violationsOf } from "./expectations.ts";
import { markOf } from "../history/format.ts";
import type { StoredCall } from "../stores/snapshot.ts";
import type { HeardChat, SentMessage, TrafficRecord } from "./record.ts";

const SESSION = "agent:main:s";
const answerTo = (key: string): string =>
  `You said: ${markOf(key)}\n\n(This is the built-in demo model. Name a real one in openclaw.json to get real answers.)`;

type Changes = {
  readonly [Part in keyof TrafficRecord]?: (part: TrafficRecord[Part]) => TrafficRecord[Part];
};

/** Two messages of one client to one session, answered as they should be; then what the test breaks. */
function recordWith(changes: Changes = {}): TrafficRecord {
  const keys = ["a", "b"];
  const sound: TrafficRecord = {
    sent: keys.map((key, i): SentMessage => {
      const acks = [{ order: 10 * i + 2, connection: 1, status: "started" }];
      const words = markOf(key);
      return { client: "c", key, sessionKey: SESSION, words, sentOrder: 10 * i + 1, acks, refusals: [] };
    }),
    heard: keys.flatMap((runId, i): HeardChat[] => {
      const text = answerTo(runId);
      const common = { client: "c", connection: 1, runId, replace: false };
      return [
        { ...common, order: 30 + i, state: "status", runSeq: 1, deltaText: null, text: null },
        {
          ...common,
          order: 40 + i,
          state: "delta",
          runSeq: 3,
          deltaText: text.slice(0, 9),
          text: text.slice(0, 9),
        },
        { ...common, order: 50 + i, state: "delta", runSeq: 4, deltaText: text.slice(9), text },
        { ...common, order: 60 + i, state: "final", runSeq: 5, deltaText: null, text },
      ];
    }),
    runs: keys.map((runId, i) => {
      const state = { status: "succeeded", attempt: 1, failures: 0, text: answerTo(runId) };
      const times = { acceptedAt: i, startedAt: 10 * i, endedAt: 10 * i + 5 };
      const run = {
        tenant: "default",
        runId,
        sessionKey: SESSION,
        runOrder: i + 1,
        mergedInto: null,
        token: i + 1,
        error: null,
      };
      return { ...run, ...state, ...times };
    }),
    rows: keys.flatMap((runId, i) =>
      ["user", "assistant"].map((role, j) => {
        const seq = 2 * i + j + 1;
        const parentId = seq === 1 ? null : `m${seq - 1}`;
        const text = role === "user" ? markOf(runId) : answerTo(runId);
        return {
          tenant: "default",
          sessionKey: SESSION,
          seq,
          messageId: `m${seq}`,
          parentId,
          runId,
          role,
          text,
        };
      }),
    ),
    leases: [],
    steps: [],
    idempotency: keys.map((key) => ({ tenant: "default", key, sessionKey: SESSION })),
    calls: keys.map((key, i): StoredCall => {
      return {
        session: SESSION,
        startedAt: 0,
        endedAt: 0,
        text: `[[demo]] ${markOf(key)}`,
        startOrder: 2 * i + 1,
        endOrder: 2 * i + 2,
        status: 200,
        aborted: false,
      };
    }),
  };
  const broken = Object.entries(changes).map(([part, change]) => [
    part,
    (change as (value: unknown) => unknown)(sound[part as keyof TrafficRecord]),
  ]);
  return { ...sound, ...(Object.fromEntries(broken) as Partial<TrafficRecord>) };
}

const at =
  <T>(index: number, change: (thing: T) => T) =>
  (things: readonly T[]): T[] =>
    things.map((thing, i) => (i === index ? change(thing) : thing));
const without =
  <T>(index: number) =>
  (things: readonly T[]): T[] =>
    things.filter((_, i) => i !== index);
const expectations = (changes: Changes): string[] => [
  ...new Set(violationsOf(recordWith(changes)).map((violation) => violation.split(":")[0] as string)),
];

describe("expectations of a crash test", () => {
  it("find nothing wrong with traffic that went well", () => {
    expect(violationsOf(recordWith())).toEqual([]);
  });

  it.each<[string, Changes, string]>([
    ["a message without an ack", { sent: at(0, (s) => ({ ...s, acks: [] })) }, "everySendIsAcknowledged"],
    ["a refusal", { sent: at(1, (s) => ({ ...s, refusals: ["no"] })) }, "everySendIsAcknowledged"],
    ["a run that Postgres lost", { runs: without(1) }, "no-lost-ack"],
    ["a run that never ended", { runs: at(1, (r) => ({ ...r, status: "running" })) }, "no-lost-ack"],
    ["a client that heard no end", { heard: without(3) }, "no-lost-ack"],
    ["a client that heard two", { heard: (h) => [...h, h[3] as HeardChat] }, "no-lost-ack"],
    [
      "an event after the end",
      { heard: (h) => [...h, { ...(h[3] as HeardChat), state: "status" }] },
      "resumable",
    ],
    ["another run's answer", { runs: at(0, (r) => ({ ...r, text: answerTo("b") })) }, "everyAnswerIsWhole"],
    [
      "half an answer",
      { heard: at(3, (e) => ({ ...e, text: String(e.text).slice(0, 20) })) },
      "everyAnswerIsWhole",
    ],
    ["a run that was given up", { runs: at(0, (r) => ({ ...r, status: "dead" })) }, "everyAnswerIsWhole"],
    [
      "an order that is not the acks'",
      { runs: (r) => r.map((run) => ({ ...run, runOrder: 3 - run.runOrder })) },
      "fifo",
    ],
    ["a user row twice", { rows: (r) => [...r, { ...r[0]!, seq: 5, parentId: "m4" }] }, "idempotent"],
    ["an answer twice", { rows: (r) => [...r, { ...r[3]!, seq: 5, parentId: "m4" }] }, "idempotent"],
    ["a row that hangs elsewhere", { rows: at(2, (r) => ({ ...r, parentId: "m1" })) }, "fifo"],
    ["an answer that is missing", { rows: without(3) }, "no-lost-ack"],
    [
      "calls in another order",
      {
        calls: (c) =>
          [c[1]!, c[0]!].map((call, i) => ({ ...call, startOrder: 2 * i + 1, endOrder: 2 * i + 2 })),
      },
      "fifo",
    ],
    [
      "a second call in one attempt",
      { calls: (c) => [...c, { ...c[1]!, startOrder: 5, endOrder: 6 }] },
      "idempotent",
    ],
    ["an answer from nowhere", { calls: without(1) }, "idempotent"],
    ["two calls at once", { calls: at(0, (c) => ({ ...c, endOrder: 4 })) }, "exclusive"],
    ["a number that goes back", { heard: at(2, (e) => ({ ...e, runSeq: 2 })) }, "resumable"],
    [
      "a delta heard twice",
      { heard: (h) => [...h.slice(0, 3), h[2] as HeardChat, ...h.slice(3)] },
      "resumable",
    ],
    ["a delta that is missing", { heard: without(1) }, "resumable"],
    [
      "deltas of two attempts glued together",
      { heard: at(2, (e) => ({ ...e, deltaText: e.text })) },
      "resumable",
    ],
  ])("find %s", (_what, changes, expectation) => {
    expect(expectations(changes)).toContain(expectation);
  });

  it("let a run that was taken over ask again, also while the call of its old holder is open", () => {
    const again = (attempt: number): Changes => ({
      runs: at(1, (run) => ({ ...run, attempt })),
      calls: (calls) => [
        ...calls.slice(0, 1),
        { ...calls[1]!, endOrder: 9 },
        { ...calls[1]!, startOrder: 5, endOrder: 6 },
      ],
    });
    expect(expectations(again(2))).toEqual([]);
    expect(expectations(again(1))).toEqual(["exclusive", "idempotent"]);
  });
});
