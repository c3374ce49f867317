import type { HistoryRecord, RecordOf } from "../history/format.ts";
import type { LooseEvidence } from "./sound-evidence.fixture.ts";
import type { PromiseName } from "./validator.ts";

/** Changes evidence so that a promise is broken. */
export type Breaking = (evidence: LooseEvidence, find: ReturnType<typeof finder>) => void;

/** Finds records by what they are; throws where there is none, so that no test breaks nothing. */
export function finder({ history, stores }: LooseEvidence) {
  const must = <T>(thing: T | undefined, what: string): T => {
    if (thing === undefined) throw new Error(`the evidence has no ${what}`);
    return thing;
  };
  const loose = <T>(thing: T): { -readonly [Key in keyof T]: T[Key] } => thing;
  return {
    record: <T extends HistoryRecord["type"]>(type: T, is: (record: RecordOf<T>) => boolean = () => true) => {
      const found = history.records.find(
        (record): record is RecordOf<T> => record.type === type && is(record as RecordOf<T>),
      );
      return loose(must(found, type));
    },
    /** The n-th run of the first session. */
    run: (n: number) => loose(must(stores.runs[n], `run ${n}`)),
    /** A run whose message joined the turn of another one. */
    merged: () =>
      loose(
        must(
          stores.runs.find(({ mergedInto }) => mergedInto !== null),
          "merged run",
        ),
      ),
    row: (is: (row: (typeof stores.rows)[number]) => boolean) => loose(must(stores.rows.find(is), "row")),
    call: (runId: string) =>
      loose(
        must(
          stores.calls.find(({ text }) => text.includes(`<${runId}>`)),
          "call",
        ),
      ),
    toolStep: (kind: string) =>
      loose(
        must(
          stores.steps.find((step) => step.kind === kind),
          kind,
        ),
      ),
    chats: (runId: string) =>
      history.records.filter(
        (record): record is RecordOf<"chat"> => record.type === "chat" && record.runId === runId,
      ),
    /** The send that made the run, and its answer. */
    sent: (runId: string) => {
      const answers = history.records.filter((r): r is RecordOf<"complete"> => r.type === "complete");
      const answer = must(
        answers.find((r) => r.runId === runId && r.status === "started"),
        "ack",
      );
      const asked = history.records.find((r) => r.type === "invoke" && r.op === answer.op);
      return { asked: loose(must(asked as RecordOf<"invoke"> | undefined, "send")), answer: loose(answer) };
    },
    drop: (is: (record: HistoryRecord) => boolean) =>
      void (history.records = history.records.filter((record) => !is(record))),
    /** Behind everything that happened. */
    add: (record: HistoryRecord) =>
      void history.records.push({ ...record, at: history.end.at } as HistoryRecord),
  };
}

const SESSION = "agent:main:s0";

/** Each breaks one thing that only this promise forbids. */
export const BROKEN: readonly (readonly [PromiseName, string, Breaking])[] = [
  [
    "exclusive",
    "two calls at once",
    (_, { call, run }) => void (call(run(0).runId).endOrder = call(run(1).runId).startOrder + 0.5),
  ],
  [
    "exclusive",
    "a lease whose token goes back",
    (_, { record, add }) => {
      const lease = record("lease", ({ token }) => token === 1);
      add(lease);
    },
  ],
  [
    "exclusive",
    "one token for two workers",
    (_, { record }) => {
      record("lease", ({ token, worker }) => token === 2 && worker === null).worker = "worker-2-life";
    },
  ],
  ["exclusive", "a later run under an older token", (_, { run }) => void (run(1).token = run(0).token)],
  [
    "exclusive",
    "a stored token below one that was seen",
    ({ stores }) => {
      stores.leases = stores.leases.map((lease) => ({ ...lease, token: 1 }));
    },
  ],
  ["exclusive", "a run begun anew for no reason", (_, { run }) => void (run(0).attempt = 2)],
  [
    "no-lost-ack",
    "a run that never ended",
    (_, { run }) => void Object.assign(run(4), { status: "running", endedAt: null }),
  ],
  [
    "no-lost-ack",
    "a sender that heard no end",
    (_, { drop, run }) => drop((r) => r.type === "chat" && r.runId === run(0).runId && r.state === "final"),
  ],
  [
    "no-lost-ack",
    "an end that was told before it was stored",
    (_, { run }) => void (run(4).endedAt = Number(run(4).endedAt) + 300),
  ],
  [
    "no-lost-ack",
    "a run that ended otherwise than was told",
    (_, { run }) => void Object.assign(run(0), { status: "failed" }),
  ],
  [
    "no-lost-ack",
    "an answer that nobody can read",
    (_, { row, run }) =>
      void (row(({ runId, role }) => runId === run(0).runId && role === "assistant").text = "gone"),
  ],
  [
    "no-lost-ack",
    "a message that joined another turn and has an answer of its own",
    (_, { merged }) => void (merged().text = "an answer"),
  ],
  [
    "no-lost-ack",
    "an answer that is not to what was steered in last",
    (_, { merged, row, sent }) => {
      const { asked } = sent(merged().runId);
      const more = `${asked.words} and more`;
      [asked.words, asked.text] = [more, more];
      row(({ messageId }) => messageId === `${merged().runId}:user`).text = more;
    },
  ],
  [
    "no-lost-ack",
    "a cron job that never ran",
    (_, { add, run, sent }) => {
      const { asked, answer } = sent(run(0).runId);
      add({ ...asked, op: 9_001, method: "cron", key: "job", words: "cron-job" });
      add({ ...answer, op: 9_001, status: null, runId: null });
    },
  ],
  [
    "no-lost-ack",
    "a subagent whose end is told nowhere",
    (_, { row, sent }) => {
      const told = row(({ role }) => role === "toolResult");
      told.text = '{"status":"accepted"}';
      sent(String(told.runId)).asked.intent = "subagent";
    },
  ],
  [
    "idempotent",
    "a message that joined another turn and stands nowhere",
    (_, { merged, row }) =>
      void (row(({ messageId }) => messageId === `${merged().runId}:user`).text = "gone"),
  ],
  [
    "idempotent",
    "a cron job that ran twice",
    ({ stores }, { add, run, sent }) => {
      const { asked, answer } = sent(run(0).runId);
      const { sessionKey, tenant } = asked;
      const said = stores.rows.filter(
        (row) => row.tenant === tenant && row.sessionKey === sessionKey && row.role === "user",
      );
      for (const row of said.slice(0, 2)) row.text += " cron-job";
      add({ ...asked, op: 9_001, method: "cron", key: "job", words: "cron-job" });
      add({ ...answer, op: 9_001, status: null, runId: null });
    },
  ],
  [
    "idempotent",
    "a message that joined another turn twice",
    (_, { merged, row }) => {
      const said = row(({ messageId }) => messageId === `${merged().runId}:user`);
      row(({ runId, role }) => runId === said.runId && role === "user").text += said.text;
    },
  ],
  [
    "idempotent",
    "an ack without a record",
    ({ stores }) => void (stores.idempotency = stores.idempotency.slice(1)),
  ],
  [
    "idempotent",
    "a key that was new twice",
    (_, { sent, run, add }) => {
      const { asked, answer } = sent(run(0).runId);
      add({ ...asked, op: 9_001 });
      add({ ...answer, op: 9_001, status: "started" });
    },
  ],
  [
    "idempotent",
    "the same key accepted with other words",
    (_, { sent, run, add }) => {
      const { asked, answer } = sent(run(0).runId);
      add({ ...asked, op: 9_001, text: "else", words: run(0).runId });
      add({ ...answer, op: 9_001, status: "in_flight" });
    },
  ],
  [
    "idempotent",
    "a repetition answered with another run",
    (_, { sent, run, add }) => {
      const { asked, answer } = sent(run(0).runId);
      add({ ...asked, op: 9_001 });
      add({ ...answer, op: 9_001, status: "ok", runId: "another" });
    },
  ],
  [
    "idempotent",
    "an answer asked for twice in one attempt",
    ({ stores }, { call, run }) => {
      const order = Math.max(...stores.calls.map(({ endOrder }) => endOrder ?? 0));
      const last = call(run(4).runId);
      stores.calls.push({ ...last, startOrder: order + 1, endOrder: order + 2 });
    },
  ],
  [
    "fifo",
    "runs against the order of their acks",
    ({ history }, { sent, run }) => {
      const [a, b] = [sent(run(0).runId), sent(run(1).runId)];
      const ends = [a.answer.op, b.answer.op];
      const swapped = (op: number): number =>
        op === ends[0] ? (ends[1] ?? op) : op === ends[1] ? (ends[0] ?? op) : op;
      const keys = new Map([
        [a.asked.op, { ...a.asked }],
        [b.asked.op, { ...b.asked }],
      ]);
      history.records = history.records.flatMap((r): HistoryRecord[] => {
        if (r.type !== "invoke" && r.type !== "complete") return [r];
        if (!ends.includes(r.op))
          return r.type === "invoke" && [a.asked.key, b.asked.key].includes(r.key)
            ? []
            : isOrphan(r, history.records, [a.asked.key, b.asked.key])
              ? []
              : [r];
        const other = keys.get(swapped(r.op));
        if (r.type === "complete") return [{ ...r, runId: other?.key ?? null }];
        return [
          {
            ...r,
            key: other?.key ?? null,
            text: other?.text ?? null,
            words: other?.words ?? null,
            client: other?.client ?? r.client,
            connection: other?.connection ?? r.connection,
          },
        ];
      });
    },
  ],
  [
    "fifo",
    "a run that began before the last one had ended",
    (_, { run }) => void (run(1).startedAt = Number(run(0).endedAt) - 1),
  ],
  [
    "fifo",
    "a message that joined a turn past an older one",
    ({ stores }, { merged }) => {
      const joined = merged();
      const next = stores.runs.find(
        ({ runOrder, sessionKey, tenant }) =>
          tenant === joined.tenant && sessionKey === joined.sessionKey && runOrder === joined.runOrder + 1,
      );
      if (next === undefined) throw new Error("nothing came after it");
      [joined.runOrder, next.runOrder] = [next.runOrder, joined.runOrder];
    },
  ],
  [
    "fifo",
    "a row that hangs elsewhere",
    (_, { row, run }) => void (row(({ runId }) => runId === run(1).runId).parentId = "elsewhere"),
  ],
  [
    "resumable",
    "a number that goes back",
    (_, { chats, run }) => {
      const [, , third] = chats(run(0).runId).filter(({ client }) => client.endsWith("a"));
      Object.assign(third ?? {}, { runSeq: 2 });
    },
  ],
  [
    "resumable",
    "a delta that is missing",
    ({ history }, { chats, run }) => {
      const lost = chats(run(0).runId).find(({ state }) => state === "delta");
      history.records = history.records.filter((record) => record !== lost);
    },
  ],
  [
    "resumable",
    "a replacing delta without its flag",
    (_, { chats, run }) => {
      const [, second] = chats(run(0).runId).filter(
        ({ state, client }) => state === "delta" && client.endsWith("a"),
      );
      Object.assign(second ?? {}, { delta: second?.text });
    },
  ],
  [
    "resumable",
    "an event after the end",
    (_, { chats, run, add }) =>
      add({ ...(chats(run(4).runId)[0] as HistoryRecord), runSeq: 9 } as HistoryRecord),
  ],
  [
    "resumable",
    "an attempt that there was not",
    (_, { chats, run }) => {
      for (const event of chats(run(4).runId)) Object.assign(event, { runSeq: event.runSeq + 2 ** 20 });
    },
  ],
  [
    "resumable",
    "a text that was told to be another",
    (_, { chats, run }) => {
      for (const event of chats(run(0).runId)
        .filter(({ state }) => state === "delta")
        .slice(0, 2))
        Object.assign(event, { text: "X", delta: "X" });
      for (const event of chats(run(0).runId)
        .filter(({ state }) => state === "delta")
        .slice(2))
        Object.assign(event, { delta: event.text, replace: true });
    },
  ],
  [
    "isolated",
    "another tenant's canary in an error",
    (_, { record }) =>
      void (record("chat", ({ tenant, state }) => tenant === "tenant-0" && state === "status").error =
        "see canary-1-x"),
  ],
  [
    "isolated",
    "another tenant's canary in any frame",
    (_, { add }) =>
      add({
        type: "leak",
        at: 0,
        client: "tenant-0.0.a",
        connection: 1,
        tenant: "tenant-0",
        canary: "canary-1-x",
        frame: "{}",
      }),
  ],
  [
    "isolated",
    "another tenant's run",
    (_, { record, add }) => {
      const event = record("chat", ({ tenant, state }) => tenant === "tenant-1" && state === "status");
      add({ ...event, tenant: "tenant-0", client: "spy", connection: 999 });
    },
  ],
  [
    "isolated",
    "a canary in a foreign object",
    ({ stores }) =>
      void stores.foreign.push({ where: "objects/tenant-0/1", tenant: "tenant-1", canary: "canary-1-x" }),
  ],
  [
    "no-silent-repetition",
    "a call that took effect twice",
    ({ stores }) => void stores.effects?.push(...(stores.effects?.slice(0, 1) ?? [])),
  ],
  [
    "no-silent-repetition",
    "an effect without a recorded start",
    ({ stores }) => void (stores.steps = stores.steps.filter(({ kind }) => kind !== "tool_started")),
  ],
  [
    "no-silent-repetition",
    "a start that was recorded twice",
    ({ stores }, { toolStep }) => void stores.steps.push({ ...toolStep("tool_started"), stepNo: 3 }),
  ],
  [
    "no-silent-repetition",
    "an unknown outcome that was not told",
    (_, { toolStep }) => void (toolStep("tool_result").token += 1),
  ],
  [
    "honest-degradation",
    "a refusal that does not say to come again",
    ({ history }, { sent, run, add }) => {
      const { asked, answer } = sent(run(0).runId);
      const error = { code: "UNAVAILABLE", message: "no", retryable: false, retryAfterMs: null };
      add({ ...asked, op: 9_001, key: "new", at: history.end.at });
      add({ ...answer, op: 9_001, outcome: "refused", status: null, runId: null, error });
    },
  ],
  [
    "honest-degradation",
    "a sound send called invalid",
    (_, { sent, run, add }) => {
      const { asked, answer } = sent(run(0).runId);
      const error = { code: "INVALID_REQUEST", message: "no", retryable: false, retryAfterMs: null };
      add({ ...asked, op: 9_001, key: "new" });
      add({ ...answer, op: 9_001, outcome: "refused", status: null, runId: null, error });
    },
  ],
  [
    "honest-degradation",
    "a refusal that left an idempotency record",
    ({ stores }, { sent, run, add }) => {
      const { asked, answer } = sent(run(0).runId);
      const error = { code: "UNAVAILABLE", message: "later", retryable: true, retryAfterMs: 1 };
      add({ ...asked, op: 9_001, key: "new" });
      add({ ...answer, op: 9_001, outcome: "refused", status: null, runId: null, error });
      stores.idempotency.push({ tenant: asked.tenant, key: "new", sessionKey: SESSION });
    },
  ],
];

/** The answer of a request that was taken out. */
function isOrphan(
  record: RecordOf<"invoke" | "complete">,
  records: readonly HistoryRecord[],
  keys: readonly (string | null)[],
): boolean {
  const asked = records.find((other) => other.type === "invoke" && other.op === record.op);
  return asked?.type === "invoke" && keys.includes(asked.key);
}
