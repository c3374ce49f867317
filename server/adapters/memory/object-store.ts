import { checkObjectKey } from "../../core/object-key.ts";
import { checkedChunks, collectBytes, compareKeys, eachWithin } from "../../ports/object-bytes.ts";
import type { ObjectInfo, ObjectStore } from "../../ports/object-store.ts";

const STALL_MS = 15_000;

/** Objects in a map: for tests and for a single process that keeps nothing. Bytes are copied in and out. */
export function memoryObjectStore(options: { readonly stallMs?: number } = {}): ObjectStore {
  const stallMs = options.stallMs ?? STALL_MS;
  const objects = new Map<string, Uint8Array>();

  function read(key: string, signal?: AbortSignal): Uint8Array | null {
    checkObjectKey(key);
    signal?.throwIfAborted();
    const bytes = objects.get(key);
    return bytes === undefined ? null : Uint8Array.from(bytes);
  }

  return {
    async put(key, body, { sha256, signal } = {}) {
      checkObjectKey(key);
      const chunks = checkedChunks(key, body, { sha256, signal, stallMs });
      const bytes = Uint8Array.from(await collectBytes(copied(chunks)));
      objects.set(key, bytes);
      return { key, bytes: bytes.length };
    },
    async get(key, signal) {
      return read(key, signal);
    },
    async getStream(key, signal) {
      const bytes = read(key, signal);
      if (bytes === null) return null;
      const late = (): Error => new Error("memory is never late");
      return eachWithin(slices(bytes), { withinMs: stallMs, late, signal });
    },
    async head(key) {
      checkObjectKey(key);
      const bytes = objects.get(key)?.length;
      return bytes === undefined ? null : { key, bytes };
    },
    async delete(keys) {
      keys.forEach(checkObjectKey);
      for (const key of keys) objects.delete(key);
    },
    async *list(prefix): AsyncGenerator<ObjectInfo, void, undefined> {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
      for (const key of keys) {
        const bytes = objects.get(key)?.length;
        if (bytes !== undefined) yield { key, bytes };
      }
    },
    async check() {},
    async close() {},
  };
}

/** A source may use its buffer again for the next chunk. */
async function* copied(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}

const SLICE_BYTES = 64 * 1024;

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}
