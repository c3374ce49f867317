import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { collectBytes } from "../object-bytes.ts";
import type { ObjectStore } from "../object-store.ts";

export interface ObjectStoreFixture {
  readonly store: ObjectStore;
  close(): Promise<void>;
}

/** Stores are opened with this, so that a source which stops is noticed soon. */
export interface ObjectStoreContractOptions {
  readonly stallMs: number;
}

const MEGABYTE = 1024 * 1024;
const STALL_MS = 400;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** What every ObjectStore promises. `open` gives an empty store of its own to each test. */
export function objectStoreContract(
  adapter: string,
  open: (options: ObjectStoreContractOptions) => Promise<ObjectStoreFixture>,
): void {
  describe(`ObjectStore contract: ${adapter}`, () => {
    const setup = async (): Promise<ObjectStore> => {
      const fixture = await open({ stallMs: STALL_MS });
      onTestFinished(() => fixture.close());
      return fixture.store;
    };

    it.each([0, 1, 70_000])("gives back the same %i bytes", async (length) => {
      const store = await setup();
      const bytes = randomBytes(length);
      expect(await store.put("a/b", bytes)).toEqual({ key: "a/b", bytes: length });
      expect(sha256((await store.get("a/b"))!)).toBe(sha256(bytes));
      expect(await store.head("a/b")).toEqual({ key: "a/b", bytes: length });
    });

    it.each([0, 1_000, 12 * MEGABYTE])("streams %i bytes in and out", async (length) => {
      const store = await setup();
      const bytes = randomBytes(length);
      expect(await store.put("big", inChunks(bytes), { sha256: sha256(bytes) })).toEqual({
        key: "big",
        bytes: length,
      });
      expect(sha256(await collectBytes((await store.getStream("big"))!))).toBe(sha256(bytes));
      expect(sha256((await store.get("big"))!)).toBe(sha256(bytes));
    });

    it("answers null for what is not there", async () => {
      const store = await setup();
      await store.put("tenants/a/x", randomBytes(3));
      for (const key of ["nothing", "tenants", "tenants/a", "tenants/b/x"]) {
        expect(await store.get(key)).toBeNull();
        expect(await store.getStream(key)).toBeNull();
        expect(await store.head(key)).toBeNull();
      }
    });

    it.each([
      ["bytes", (bytes: Uint8Array) => bytes],
      ["a stream", inChunks],
    ])("refuses %s of another hash than the one given, and stores nothing", async (_what, body) => {
      const store = await setup();
      for (const length of [100, 9 * MEGABYTE]) {
        const put = store.put("a", body(randomBytes(length)), { sha256: sha256(randomBytes(4)) });
        await expect(put).rejects.toMatchObject({ code: "REQUEST_INVALID" });
        expect(await store.head("a")).toBeNull();
      }
    });

    it("writes a key again with the same bytes", async () => {
      const store = await setup();
      const bytes = randomBytes(50_000);
      await Promise.all([store.put("a", bytes), store.put("a", inChunks(bytes)), store.put("a", bytes)]);
      expect(sha256((await store.get("a"))!)).toBe(sha256(bytes));
    });

    it("copies what it is given: a source may use its buffer again", async () => {
      const store = await setup();
      const buffer = new Uint8Array(1_000);
      await store.put("stream", reusing(buffer, [1, 2, 3]));
      buffer.fill(4);
      await store.put("whole", buffer);
      buffer.fill(5);
      const stream = (await store.get("stream"))!;
      expect([stream[0], stream[1_000], stream[2_000], stream.length]).toEqual([1, 2, 3, 3_000]);
      expect((await store.get("whole"))![0]).toBe(4);
    });

    it.each([
      ["an empty key", ""],
      ["a slash in front", "/a"],
      ["a slash at the end", "a/"],
      ["two slashes", "a//b"],
      ["a way up at the beginning", "../a"],
      ["a way up", "a/../b"],
      ["a dot segment", "./a"],
      ["a control character", "a\nb"],
      ["half a character", "\ud800"],
      ["more than 1,024 bytes", "x".repeat(1_025)],
    ])("refuses %s", async (_what, key) => {
      const store = await setup();
      const invalid = { code: "REQUEST_INVALID" };
      await expect(store.put(key, randomBytes(1))).rejects.toMatchObject(invalid);
      await expect(store.get(key)).rejects.toMatchObject(invalid);
      await expect(store.head(key)).rejects.toMatchObject(invalid);
      await expect(store.delete([key])).rejects.toMatchObject(invalid);
    });

    it("keeps keys apart and whole, whatever characters they have", async () => {
      const store = await setup();
      const keys = [
        "x/A",
        "x/a",
        "x/a b+c&d=e?f#g",
        "x/%41",
        "x/ü✓😀",
        "x/..a",
        "x/.a",
        "x/a~",
        "x/a@",
        'x/"<\\',
      ];
      for (const key of keys) await store.put(key, Buffer.from(key));
      for (const key of keys) expect(Buffer.from((await store.get(key))!).toString()).toBe(key);
      expect((await keysOf(store, "x/")).toSorted()).toEqual(keys.toSorted());
    });

    it("lists by prefix, in the order of the keys' bytes", async () => {
      const store = await setup();
      const keys = ["a-b/1", "a/1", "a/10", "a/2/x", "a/2/y", "a0/1", "ab/1", "b/1", "é/1"];
      for (const key of keys.toReversed()) await store.put(key, Buffer.from(key));
      expect(await keysOf(store, "")).toEqual(keys);
      expect(await keysOf(store, "a/")).toEqual(["a/1", "a/10", "a/2/x", "a/2/y"]);
      expect(await keysOf(store, "a/1")).toEqual(["a/1", "a/10"]);
      expect(await keysOf(store, "a/2/")).toEqual(["a/2/x", "a/2/y"]);
      expect(await keysOf(store, "none")).toEqual([]);
      const [first] = await infosOf(store, "a/10");
      expect(first).toEqual({ key: "a/10", bytes: 4 });
    });

    it("lists and deletes more objects than fit into one page", async () => {
      const store = await setup();
      const keys = Array.from({ length: 1_020 }, (_, index) => `many/${String(index).padStart(5, "0")}`);
      for (let at = 0; at < keys.length; at += 60) {
        await Promise.all(keys.slice(at, at + 60).map((key) => store.put(key, Buffer.from("x"))));
      }
      expect(await keysOf(store, "many/")).toEqual(keys);
      await store.delete([...keys.slice(1), "many/never-was"]);
      expect(await keysOf(store, "")).toEqual([keys[0]]);
      await store.delete([]);
    });

    it.each([1_000, 9 * MEGABYTE])(
      "shows nothing of an object whose source fails after %i bytes",
      async (length) => {
        const store = await setup();
        const failure = new Error("the source broke");
        await expect(store.put("a", failing(randomBytes(length), failure))).rejects.toBe(failure);
        expect(await keysOf(store, "")).toEqual([]);
      },
    );

    it("gives up on a source that stops, and shows nothing of it", async () => {
      const store = await setup();
      await expect(store.put("a", stopping(randomBytes(1_000)))).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(await keysOf(store, "")).toEqual([]);
    });

    it("stops writing when the signal aborts", async () => {
      const store = await setup();
      const controller = new AbortController();
      const reason = new Error("the run was cancelled");
      const body = stopping(randomBytes(1_000), () => controller.abort(reason));
      await expect(store.put("a", body, { signal: controller.signal })).rejects.toBe(reason);
      expect(await keysOf(store, "")).toEqual([]);
    });

    it("stops reading when the signal aborts, and before it began", async () => {
      const store = await setup();
      const bytes = randomBytes(3 * MEGABYTE);
      await store.put("a", bytes);
      const controller = new AbortController();
      const reason = new Error("the run was cancelled");
      const stream = (await store.getStream("a", controller.signal))!;
      const read = (async () => {
        for await (const chunk of stream) if (chunk.length > 0) controller.abort(reason);
      })();
      await expect(read).rejects.toBe(reason);
      await expect(store.get("a", controller.signal)).rejects.toBe(reason);
    });

    it("serves on after streams that were not read to their end", async () => {
      const store = await setup();
      await store.put("a", randomBytes(2 * MEGABYTE));
      for (let turn = 0; turn < 60; turn++) {
        const started = (await store.getStream("a"))![Symbol.asyncIterator]();
        await started.next();
        await started.return?.();
        await (await store.getStream("a"))![Symbol.asyncIterator]().return?.();
      }
      expect((await store.get("a"))!.length).toBe(2 * MEGABYTE);
    });

    it("shows a reader all of an object or nothing while it is written", async () => {
      const store = await setup();
      const bytes = randomBytes(9 * MEGABYTE);
      let seen: unknown;
      async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
        for await (const chunk of inChunks(bytes)) yield chunk;
        seen = [await store.get("a"), await keysOf(store, "")];
      }
      await store.put("a", body());
      expect(seen).toEqual([null, []]);
      expect((await store.head("a"))!.bytes).toBe(bytes.length);
    });

    it("proves that it can be written, without leaving an object in anyone's listing", async () => {
      const store = await setup();
      await store.check();
      expect(await keysOf(store, "tenants/")).toEqual([]);
    });
  });
}

async function infosOf(store: ObjectStore, prefix: string): Promise<{ key: string; bytes: number }[]> {
  const infos = [];
  for await (const info of store.list(prefix)) infos.push(info);
  return infos;
}

const keysOf = async (store: ObjectStore, prefix: string): Promise<string[]> =>
  (await infosOf(store, prefix)).map(({ key }) => key);

/** Chunks of odd sizes, some below what S3 takes as one chunk of a request. */
async function* inChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  const sizes = [1, 700, 65_537, 300_001];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function* reusing(
  buffer: Uint8Array,
  fills: readonly number[],
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const fill of fills) yield buffer.fill(fill);
}

async function* failing(bytes: Uint8Array, failure: Error): AsyncGenerator<Uint8Array, void, undefined> {
  yield* inChunks(bytes);
  throw failure;
}

/** Yields the bytes and then nothing any more. */
async function* stopping(
  bytes: Uint8Array,
  stopped = (): void => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
  stopped();
  await new Promise(() => {});
}
