import { describe, expect, it } from "vitest";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { runId } from "../core/ids.ts";
import { objectKey } from "../core/object-key.ts";
import { messageText, type TranscriptRow } from "../core/transcript.ts";
import type { Grant } from "../ports/run-ledger.ts";
import type { Segment } from "../ports/session-store.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { SESSION, TENANT } from "../testing/memory-pool.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { bodyStore } from "../bodies/body-store.ts";
import { contextCache } from "./context-cache.ts";
import { loadContext, messagesOf } from "./load-context.ts";

const row = (seq: number, run: string, role: "user" | "assistant" = "user"): TranscriptRow => ({
  seq,
  messageId: `m${seq}`,
  parentId: null,
  runId: runId(run),
  idempotencyKey: null,
  body: { inline: { role, content: `text ${seq}`, timestamp: seq } },
  createdAt: seq,
});

function setup(rows: readonly TranscriptRow[], segments: readonly Segment[] = []) {
  const objects = memoryObjectStore();
  const cache = contextCache(1_000_000);
  const reads: number[] = [];
  const bodies = bodyStore({ objects, clock: fakeClock(), logger: recordingLogger() });
  const sessions = {
    context: (_tenant: unknown, _key: unknown, afterSeq: number) => {
      reads.push(afterSeq);
      return Promise.resolve({
        rows: rows.filter(({ seq }) => seq > afterSeq),
        segments: [...segments],
        fromSeq: afterSeq + 1,
      });
    },
  };
  const load = async (grant: Partial<Grant>) => {
    const whole = {
      tenant: TENANT,
      sessionKey: SESSION,
      sessionId: "s",
      runId: runId("run-3"),
      resetSeq: 0,
      ...grant,
    };
    const deps = { sessions: sessions as never, bodies, cache };
    const loaded = await loadContext(deps, whole as Grant, new AbortController().signal);
    return {
      texts: messagesOf(loaded).map(messageText),
      own: loaded.own.map(({ message }) => messageText(message)),
    };
  };
  const cached = (headSeq: number, more: { sessionId?: string; resetSeq?: number } = {}): void =>
    cache.put(TENANT, SESSION, {
      sessionId: "s",
      resetSeq: 0,
      ...more,
      headSeq,
      history: {
        compaction: null,
        entries: rows.slice(0, headSeq).map(({ seq, messageId, body }) => ({
          seq,
          messageId,
          message: "inline" in body ? body.inline : never(),
        })),
      },
    });
  return { objects, reads, load, cached };
}

const never = (): never => {
  throw new Error("not in these tests");
};

const ROWS = [row(1, "run-1"), row(2, "run-1", "assistant"), row(3, "run-3")];
const FIRST = { userRow: ROWS[2]!, headSeq: 3 };
const WHOLE = ["text 1", "text 2", "text 3"];

describe("loading a context", () => {
  it("reads nothing for the first message of a session, nor of a history begun anew", async () => {
    const { load, reads } = setup(ROWS);
    expect((await load({ userRow: row(1, "run-3"), headSeq: 1 })).texts).toEqual(["text 1"]);
    expect((await load({ userRow: row(8, "run-3"), headSeq: 8, resetSeq: 7 })).texts).toEqual(["text 8"]);
    expect(reads).toEqual([]);
  });

  it("reads nothing where the cache reaches to the user's row", async () => {
    const { load, reads, cached } = setup(ROWS);
    cached(2);
    expect((await load(FIRST)).texts).toEqual(WHOLE);
    expect(reads).toEqual([]);
  });

  it("reads only what the cache does not have", async () => {
    const { load, reads, cached } = setup(ROWS);
    cached(1);
    expect((await load(FIRST)).texts).toEqual(WHOLE);
    expect(reads).toEqual([1]);
  });

  it.each([
    ["of another session of that name", { sessionId: "older" }],
    ["from before a reset", { resetSeq: 9 }],
  ])("does not use a cached context %s", async (_what, more) => {
    const { load, reads, cached } = setup(ROWS);
    cached(2, more);
    expect((await load(FIRST)).texts).toEqual(WHOLE);
    expect(reads).toEqual([0]);
  });

  it("knows which messages earlier attempts of the run have stored, whatever the cache holds", async () => {
    const rows = [...ROWS, row(4, "run-3", "assistant"), row(5, "run-9", "assistant")];
    const { load, cached } = setup(rows);
    cached(5);
    const grant = { ...FIRST, headSeq: 5, attempt: 2 };
    const texts = ["text 1", "text 2", "text 5", "text 3", "text 4"];
    expect(await load(grant)).toEqual({ texts, own: ["text 4"] });
  });

  it("joins segments and tail, each row once", async () => {
    const segment = { firstSeq: 1, lastSeq: 2, object: { sha256: "a".repeat(64), bytes: 1 } };
    const { load, objects } = setup(ROWS.slice(1), [segment]);
    const lines = ROWS.slice(0, 2).map((sealed) => `${JSON.stringify(sealed)}\n`);
    await objects.put(objectKey(TENANT, segment.object.sha256), new TextEncoder().encode(lines.join("")));
    expect((await load(FIRST)).texts).toEqual(WHOLE);
  });

  it("keeps the run's own message where the session was reset while it ran", async () => {
    const rows = [row(3, "run-3"), row(5, "run-3", "assistant")];
    const { load } = setup(rows);
    const grant = { userRow: rows[0]!, headSeq: 5, resetSeq: 4, attempt: 2 };
    expect((await load(grant)).texts).toEqual(["text 3", "text 5"]);
  });
});
