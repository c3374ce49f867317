import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ObjectInfo } from "../../ports/object-store.ts";
import { keyPart } from "./object-path.ts";
import type { KeyPart } from "./object-path.ts";

interface Entry extends KeyPart {
  readonly path: string;
  readonly key: Buffer;
}

/**
 * All objects below `dir` whose key starts with `prefix`, in the order of their keys' bytes. Folders that cannot hold
 * such a key are not opened. Memory grows with the largest folder, not with the number of objects.
 */
export async function* walkObjects(dir: string, prefix: string): AsyncGenerator<ObjectInfo, void, undefined> {
  yield* walk(dir, Buffer.alloc(0), Buffer.from(prefix));
}

async function* walk(
  folder: string,
  above: Buffer,
  prefix: Buffer,
): AsyncGenerator<ObjectInfo, void, undefined> {
  for (const entry of await entries(folder, above, prefix)) {
    if (entry.kind === "folder") {
      yield* walk(entry.path, entry.key, prefix);
      continue;
    }
    const stats = await orGone(stat(entry.path));
    if (stats !== null) yield { key: entry.key.toString(), bytes: stats.size };
  }
}

/** Entries of a folder that matter, in key order: a folder sorts by its `/`, so `a-b` comes before what is in `a`. */
async function entries(folder: string, above: Buffer, prefix: Buffer): Promise<Entry[]> {
  const found: Entry[] = [];
  const handle = await orGone(opendir(folder));
  if (handle === null) return found;
  for await (const entry of handle) {
    const part = keyPart(entry.name, entry.isDirectory());
    if (part === null) continue;
    const key = Buffer.concat([above, part.bytes]);
    const wanted = part.kind === "object" ? startsWith(key, prefix) : mayHold(key, prefix);
    if (wanted) found.push({ ...part, key, path: join(folder, entry.name) });
  }
  return found.sort((a, b) => Buffer.compare(a.key, b.key));
}

const startsWith = (key: Buffer, prefix: Buffer): boolean => key.subarray(0, prefix.length).equals(prefix);

/** The folder's part of the key and the prefix agree as far as both go. */
const mayHold = (key: Buffer, prefix: Buffer): boolean => {
  const length = Math.min(key.length, prefix.length);
  return key.subarray(0, length).equals(prefix.subarray(0, length));
};

/** Null for what was deleted in the meantime. */
async function orGone<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
