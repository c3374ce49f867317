import { describe, expect, it } from "vitest";
import { sessionKey } from "../core/ids.ts";
import { objectKey } from "../core/object-key.ts";
import { memoryPool, SESSION, TENANT } from "../testing/memory-pool.ts";
import { archive } from "./archiver.ts";

async function longSession() {
  const contexts: number[] = [];
  const pool = await memoryPool({
    script: (turn) => {
      contexts.push(turn.messages.length);
      return [{ say: `answer ${contexts.length}` }];
    },
  });
  const worker = await pool.worker();
  for (let i = 0; i < 10; i++) await pool.ended(await pool.send(`message ${i}`, `run-${i}`));
  const deps = { sessions: pool.sessions.port, objects: pool.objects.port, logger: pool.logger, tailRows: 6 };
  return { ...pool, contexts, first: worker, deps };
}

describe("the archiver", () => {
  it("moves the old part of a transcript to an object, as JSON lines of whole rows", async () => {
    const { deps, sessions, objects } = await longSession();
    const { rows: before } = await sessions.port.history(TENANT, SESSION, { limit: 100 });
    expect(await archive(deps)).toBe(1);
    expect(await archive(deps)).toBe(0);
    const { rows, segments, total } = await sessions.port.history(TENANT, SESSION, { limit: 100 });
    expect(total).toBe(20);
    const [segment] = segments;
    const bytes = await objects.port.get(objectKey(TENANT, segment!.object.sha256));
    const sealed = new TextDecoder()
      .decode(bytes ?? undefined)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect([...sealed, ...rows]).toEqual(before);
  });

  it("leaves what a worker without a cache needs to build the whole context", async () => {
    const { deps, first, worker, send, ended, contexts } = await longSession();
    await archive(deps);
    await first.drain();
    await worker();
    await ended(await send("one more", "run-last"));
    expect(contexts.at(-1)).toBe(21);
  });

  it("does nothing while object storage is away, and everything later", async () => {
    const { deps, objects, sessions } = await longSession();
    objects.break("before");
    await expect(archive(deps)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect((await sessions.port.history(TENANT, SESSION, { limit: 100 })).segments).toEqual([]);
    objects.break("after", ["put"], 1); // stored, but the answer is lost
    await expect(archive(deps)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    objects.mend();
    expect(await archive(deps)).toBe(1);
    expect((await sessions.port.history(TENANT, SESSION, { limit: 100 })).segments).toHaveLength(1);
  });

  it("leaves short sessions alone", async () => {
    const pool = await memoryPool();
    await pool.worker();
    await pool.ended(await pool.send("hi", "run-1", { session: "agent:main:short" }));
    expect(
      await archive({
        sessions: pool.sessions.port,
        objects: pool.objects.port,
        logger: pool.logger,
        tailRows: 6,
      }),
    ).toBe(0);
    expect(
      (await pool.sessions.port.history(TENANT, sessionKey("agent:main:short"), { limit: 9 })).rows,
    ).toHaveLength(2);
  });
});
