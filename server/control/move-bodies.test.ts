import { expect, it } from "vitest";
import { objectKey } from "../core/object-key.ts";
import { INLINE_BODY_MAX_BYTES, messageText, type TranscriptMessage } from "../core/transcript.ts";
import { memoryPool, SESSION, TENANT } from "../testing/memory-pool.ts";
import { moveLargeBodies } from "./move-bodies.ts";

const LARGE = "a long question ".repeat(INLINE_BODY_MAX_BYTES / 16);
const ANSWER = "a long answer ".repeat(INLINE_BODY_MAX_BYTES / 12);

/** A short session, written while object storage was away. */
async function keptInline() {
  const contexts: string[][] = [];
  const pool = await memoryPool({
    script: (turn) => {
      contexts.push(turn.messages.map(messageText));
      return [{ say: ANSWER }];
    },
  });
  pool.objects.break("before");
  const worker = await pool.worker();
  await pool.ended(await pool.send(LARGE, "run-1"));
  const bodies = async () => (await pool.sessions.port.history(TENANT, SESSION, { limit: 9 })).rows;
  const deps = { sessions: pool.sessions.port, objects: pool.objects.port, logger: pool.logger };
  return { ...pool, contexts, first: worker, bodies, deps };
}

it("moves what stayed in its row to an object of its own, and the next run reads it from there", async () => {
  const { deps, objects, bodies, first, worker, send, ended, contexts } = await keptInline();
  const before = (await bodies()).map(({ body }) => "inline" in body && body.inline);
  expect(before.map((message) => message && messageText(message))).toEqual([LARGE, ANSWER]);
  objects.mend();
  expect(await moveLargeBodies(deps)).toBe(2);
  const stored = [];
  for (const { body } of await bodies()) {
    expect(body).toMatchObject({ object: { bytes: expect.any(Number) } });
    const bytes = "object" in body ? await objects.port.get(objectKey(TENANT, body.object.sha256)) : null;
    stored.push(JSON.parse(new TextDecoder().decode(bytes ?? undefined)) as TranscriptMessage);
  }
  expect(stored).toEqual(before);
  expect(await moveLargeBodies(deps)).toBe(0);

  await first.drain();
  await worker();
  await ended(await send("short", "run-2"));
  expect(contexts.at(-1)).toEqual([LARGE, ANSWER, "short"]);
});

it("goes on where it was cut: before the object, between object and row, and after the row", async () => {
  const { deps, objects, sessions, bodies } = await keptInline();
  const inline = async () => (await bodies()).filter(({ body }) => "inline" in body).length;
  await expect(moveLargeBodies(deps)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  objects.break("after", ["put"], 1);
  await expect(moveLargeBodies(deps)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(await inline()).toBe(2);
  sessions.break("after", ["moveBody"], 1);
  await expect(moveLargeBodies(deps)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(await inline()).toBe(1);
  expect(await moveLargeBodies(deps)).toBe(1);
  expect(await inline()).toBe(0);
});
