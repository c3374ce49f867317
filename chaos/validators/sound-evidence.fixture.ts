import { ATTEMPT_STRIDE } from "../../server/core/run-event.ts";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import { HISTORY_VERSION, type HistoryRecord, markOf, type RecordOf } from "../history/format.ts";
import { SNAPSHOT_VERSION, type StoresSnapshot } from "../stores/snapshot.ts";
import type { Evidence } from "./validator.ts";

/** Evidence that a test may break. */
export interface LooseEvidence {
  readonly history: {
    readonly header: RecordOf<"header">;
    records: HistoryRecord[];
    end: RecordOf<"end">;
  };
  readonly stores: { -readonly [Part in keyof StoresSnapshot]: StoresSnapshot[Part] };
}

export interface SoundOptions {
  readonly seed: number;
  readonly tenants?: number;
  readonly sessions?: number;
  /** Runs of each session. */
  readonly runs?: number;
  /** Share of runs whose worker is paused in the middle, 0 to 1. */
  readonly takeovers?: number;
}

const STARTED_AT = 1_700_000_000_000;

/**
 * What a deployment that keeps its promises leaves behind: a small simulation of clients that repeat, conflict,
 * reconnect and listen, of workers that are paused and replaced, and of tools that are called.
 */
export function soundEvidence(options: SoundOptions): LooseEvidence {
  const { seed, tenants = 2, sessions = 2, runs = 5, takeovers = 0.2 } = options;
  const random = seededRandom(seed);
  const chance = (share: number): boolean => random.float() < share;
  const within = (max: number): number => Math.ceil(random.float() * max);
  const timed: HistoryRecord[] = [];
  const orders: { at: number; set: (order: number) => void }[] = [];
  const stores: LooseEvidence["stores"] = {
    version: SNAPSHOT_VERSION,
    takenAt: STARTED_AT + 1_000_000,
    runs: [],
    rows: [],
    leases: [],
    steps: [],
    idempotency: [],
    calls: [],
    effects: [],
    foreign: [],
    queueLeft: 0,
  };
  const ids = Array.from({ length: tenants }, (_, i) => ({ id: `tenant-${i}`, canary: `canary-${i}-x` }));
  let ops = 0;
  let connections = 0;

  for (const { id: tenant, canary } of ids) {
    for (let s = 0; s < sessions; s++) {
      const sessionKey = `agent:main:s${s}`;
      const clients = ["a", "b"].map((name) => ({
        client: `${tenant}.${s}.${name}`,
        connection: ++connections,
      }));
      for (const { client, connection } of clients)
        timed.push({
          type: "connection",
          at: 0,
          client,
          connection,
          tenant,
          gateway: "gateway-1",
          state: "open",
          code: null,
        });
      let [ackedAt, freeAt, token, seq] = [within(50), 0, 0, 0];
      let parentId: string | null = null;
      const row = (runId: string, role: string, text: string, asked = runId): void => {
        const messageId = role === "user" ? `${asked}:user` : `${asked}-m${seq + 1}`;
        seq++;
        stores.rows.push({ tenant, sessionKey, seq, messageId, parentId, runId, role, text });
        parentId = messageId;
      };
      const lease = (at: number, runId: string | null): void => {
        const worker = runId === null ? null : "worker-1-life";
        timed.push({ type: "lease", at, tenant, sessionKey, token, worker, runId });
      };

      let runOrder = 0;
      const wordsOf = (key: string): string => `${markOf(key)} ${canary} ${"word ".repeat(within(5))}`.trim();

      for (let n = 0; n < runs; n++) {
        const key = `k-${tenant}-${s}-${n}`;
        const words = wordsOf(key);
        const [sender, other] = n % 2 === 0 ? clients : clients.toReversed();
        if (sender === undefined || other === undefined) throw new Error("two clients");
        const ask = (
          who: { client: string; connection: number },
          [from, to]: readonly [number, number],
          changes: Partial<RecordOf<"invoke">>,
          answer: Partial<RecordOf<"complete">>,
        ): void => {
          const op = ++ops;
          timed.push({
            type: "invoke",
            at: from,
            op,
            method: "send",
            ...who,
            gateway: "gateway-1",
            tenant,
            sessionKey,
            key,
            text: words,
            words,
            queueMode: null,
            intent: "plain",
            ...changes,
          });
          timed.push({
            type: "complete",
            at: to,
            op,
            outcome: "ok",
            status: "started",
            runId: key,
            error: null,
            rows: null,
            ...answer,
          });
        };
        const sentAt = ackedAt + within(40);
        ackedAt = sentAt + within(30);
        if (chance(0.2))
          ask(sender, [sentAt - 0.5, sentAt - 0.2], {}, { outcome: "lost", status: null, runId: null });
        ask(sender, [sentAt, ackedAt], {}, {});
        if (chance(0.3))
          ask(other, [ackedAt + 1, ackedAt + 3], { intent: "duplicate" }, { status: "in_flight" });
        if (chance(0.3)) {
          const error = {
            code: "INVALID_REQUEST",
            retryable: false,
            retryAfterMs: null,
            message: "This message ID was already used for different input.",
          };
          const asked = { intent: "conflict", text: "other words", words: "other words" };
          ask(sender, [ackedAt + 2, ackedAt + 5], asked, {
            outcome: "refused",
            status: null,
            runId: null,
            error,
          });
        }
        const startedAt = Math.max(ackedAt, freeAt) + within(10);
        const usesTool = chance(0.2);
        const isTakenOver = chance(takeovers);
        // Somebody adds something while the tool works: it joins this turn, and is what the answer repeats.
        const added = usesTool && chance(0.5) ? { key: `${key}-and`, words: wordsOf(`${key}-and`) } : null;
        const text = `You said: ${added?.words ?? words}.`;
        const hear = (
          who: { client: string; connection: number },
          at: number,
          event: Partial<RecordOf<"chat">>,
        ) =>
          void timed.push({
            type: "chat",
            at,
            ...who,
            tenant,
            sessionKey,
            runId: key,
            state: "delta",
            runSeq: 0,
            delta: null,
            replace: false,
            text: null,
            error: null,
            ...event,
          });
        const call = (from: number, to: number, aborted = false, asked = words): void => {
          const made = {
            session: `${tenant} ${s}`,
            text: asked,
            startOrder: 0,
            endOrder: 0,
            aborted,
            status: 200,
            startedAt: STARTED_AT + from,
            endedAt: STARTED_AT + to,
          };
          stores.calls.push(made);
          orders.push({ at: from, set: (order) => (made.startOrder = order) });
          orders.push({ at: to, set: (order) => (made.endOrder = order) });
        };

        row(key, "user", words);
        token++;
        lease(startedAt, key);
        let at = startedAt + within(5);
        let attempt = 1;
        let heard = "";
        if (isTakenOver) {
          const cut = text.slice(0, within(text.length - 1));
          for (const who of clients) {
            hear(who, at + 1, { state: "status", runSeq: 1 });
            hear(who, at + 2, { runSeq: 3, delta: cut, text: cut });
          }
          heard = cut;
          const fault = {
            type: "fault",
            id: `f-${key}`,
            kind: "pause",
            subject: "worker-1",
            detail: "state T",
          } as const;
          timed.push({ ...fault, at: at + 3, phase: "injected" });
          timed.push({ ...fault, at: at + 4, phase: "shown" });
          call(at, at + 60, true);
          timed.push({ ...fault, at: at + 55, phase: "healed" });
          attempt = 2;
          token += 2;
          at += 30;
          lease(at, key);
        }
        const base = (attempt - 1) * ATTEMPT_STRIDE;
        let listening: { client: string; connection: number }[] = [...clients];
        const callEnd = at + 10 + within(20);
        call(at, callEnd);
        if (usesTool) {
          const toolCallId = `call_${n}`;
          const step = { tenant, runId: key, toolCallId, token };
          stores.steps.push({ ...step, stepNo: 1, kind: "tool_started", toolName: "pay", idempotent: false });
          stores.steps.push({ ...step, stepNo: 2, kind: "tool_result", toolName: null, idempotent: null });
          stores.effects?.push({ tenant, runId: key, toolCallId });
          row(key, "assistant", "");
          row(key, "toolResult", "paid");
          if (added) row(key, "user", added.words, added.key);
          call(callEnd + 1, callEnd + 2, false, added?.words);
        }
        const half = text.slice(0, Math.max(heard.length, text.length >> 1));
        for (const who of listening) {
          hear(who, at + 2, { state: "status", runSeq: base + 1 });
          hear(who, at + 3, { runSeq: base + 3, delta: half, text: half, replace: attempt > 1 });
        }
        if (chance(0.2)) {
          const connection = ++connections;
          const { client } = other;
          const common = { type: "connection", client, tenant, gateway: "gateway-1" } as const;
          timed.push({ ...common, at: at + 4, connection: other.connection, state: "closed", code: 1006 });
          timed.push({ ...common, at: at + 5, connection, state: "open", code: null });
          other.connection = connection;
          listening = [...clients];
        }
        const endedAt = callEnd + 3;
        for (const who of listening) {
          const { client, connection } = who;
          hear({ client, connection }, endedAt, { runSeq: base + 6, delta: text.slice(half.length), text });
          hear({ client, connection }, endedAt + 1, { state: "final", runSeq: base + 6, text });
        }
        row(key, "assistant", text);
        stores.idempotency.push({ tenant, key, sessionKey });
        stores.runs.push({
          tenant,
          runId: key,
          sessionKey,
          runOrder: ++runOrder,
          mergedInto: null,
          status: "succeeded",
          attempt,
          token,
          text,
          failures: attempt - 1,
          error: null,
          acceptedAt: STARTED_AT + ackedAt,
          startedAt: STARTED_AT + startedAt,
          endedAt: STARTED_AT + endedAt,
        });
        if (added) {
          const { key: runId, words: said } = added;
          const [from, to] = [Math.max(ackedAt, startedAt) + 6, Math.max(ackedAt, startedAt) + 7];
          ask(other, [from, to], { key: runId, text: said, words: said, queueMode: "steer" }, { runId });
          ackedAt = Math.max(ackedAt, to);
          for (const { client, connection } of clients)
            hear({ client, connection }, callEnd + 1, { runId, state: "final", runSeq: 1 });
          stores.idempotency.push({ tenant, key: runId, sessionKey });
          stores.runs.push({
            tenant,
            runId,
            sessionKey,
            runOrder: ++runOrder,
            mergedInto: key,
            status: "succeeded",
            attempt: 0,
            token,
            text: "",
            failures: 0,
            error: null,
            acceptedAt: STARTED_AT + to,
            startedAt: null,
            endedAt: STARTED_AT + callEnd + 1,
          });
        }
        freeAt = endedAt + 1;
        lease(freeAt, null);
      }
      stores.leases.push({ tenant, sessionKey, token, worker: null, queued: 0, ready: false });
    }
  }

  for (const [i, { set }] of orders.toSorted((a, b) => a.at - b.at).entries()) set(i + 1);
  const records = timed.toSorted((a, b) => timeOf(a) - timeOf(b));
  const header: RecordOf<"header"> = {
    type: "header",
    version: HISTORY_VERSION,
    scenario: "sound",
    claim: "nothing is wrong",
    seed,
    target: "process",
    startedAt: new Date(STARTED_AT).toISOString(),
    startedAtMs: STARTED_AT,
    gateways: 1,
    workers: 2,
    tenants: ids,
    plantedBug: null,
    command: "chaos run sound",
  };
  const last = records.at(-1);
  const end = {
    type: "end",
    at: last === undefined ? 0 : timeOf(last),
    records: records.length,
    settled: true,
  } as const;
  return { history: { header, records, end }, stores };
}

const timeOf = (record: HistoryRecord): number => ("at" in record ? record.at : 0);

/** For readers of the evidence: what is loose is evidence too. */
export const asEvidence = (loose: LooseEvidence): Evidence => loose;
