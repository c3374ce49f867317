import { randomUUID } from "node:crypto";
import { open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { asHAError, HAError } from "../../core/errors.ts";
import { checkObjectKey } from "../../core/object-key.ts";
import { checkedChunks, collectBytes, eachWithin } from "../../ports/object-bytes.ts";
import type { ObjectInfo, ObjectStore } from "../../ports/object-store.ts";
import { durableFolders, syncFolder } from "./durable-folders.ts";
import { objectPath } from "./object-path.ts";
import { walkObjects } from "./walk-objects.ts";

export interface DirectoryObjectStoreOptions {
  /** Made when missing. Several processes of one machine may share it. */
  readonly dir: string;
  /** Longest pause of a source or of the disk, milliseconds. */
  readonly stallMs?: number;
}

const STALL_MS = 15_000;

/** Files that are being written lie here: the same file system, so that the rename is atomic. */
const TEMPORARY = ".tmp";

/** A file that has not grown for so long belongs to a process that was killed. */
const ABANDONED_MS = 60 * 60 * 1_000;

interface Written {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Objects as files of a folder. A file is written beside its place, flushed, renamed, and its folder is flushed: after
 * `put` it survives a crash of the machine, before that nobody sees it.
 */
export function directoryObjectStore(options: DirectoryObjectStoreOptions): ObjectStore {
  const { dir } = options;
  const stallMs = options.stallMs ?? STALL_MS;
  const temporaryDir = join(dir, TEMPORARY);
  const folders = durableFolders();
  const fileOf = (key: string): string => {
    checkObjectKey(key);
    return join(dir, objectPath(key));
  };
  let swept: Promise<void> | undefined;
  /** This process has written here: a folder that is missing now was taken away. */
  let written = false;

  /**
   * Null where there is no such file. That is an answer of a store that is there: one whose folder was moved away, or
   * whose volume is not mounted, has lost nothing, and whoever asks must not take its objects for gone.
   */
  async function orNull<T>(what: string, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") throw unavailable(what, error);
    }
    const root = await stat(dir).catch((error: NodeJS.ErrnoException) => error);
    if (root instanceof Error) {
      if (root.code === "ENOENT" && !written) return null;
      throw unavailable(what, root);
    }
    if (!root.isDirectory()) throw unavailable(what, new Error(`${dir} is no folder`));
    return null;
  }

  /** Writes the chunks to a file of ours; removes it again when anything goes wrong. What the source throws passes. */
  async function writeTemporary(what: string, chunks: AsyncIterable<Uint8Array>): Promise<Written> {
    const path = join(temporaryDir, randomUUID());
    const file = await fileErrors(what, async () => {
      await folders.make(temporaryDir);
      swept ??= removeAbandoned(temporaryDir);
      await swept;
      return open(path, "wx", 0o600);
    });
    try {
      let bytes = 0;
      for await (const chunk of chunks) {
        await fileErrors(what, () => writeAll(file, chunk));
        bytes += chunk.length;
      }
      await fileErrors(what, () => file.sync());
      return { path, bytes };
    } catch (error) {
      await rm(path, { force: true }).catch(() => {});
      throw error;
    } finally {
      await file.close();
    }
  }

  async function publish(temporary: string, target: string): Promise<void> {
    try {
      await folders.make(dirname(target));
      await rename(temporary, target);
      await syncFolder(dirname(target));
      written = true;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  async function openStream(key: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | null> {
    const path = fileOf(key);
    const what = `read object ${key}`;
    signal?.throwIfAborted();
    const file = await orNull(what, () => open(path, "r"));
    if (file === null) return null;
    const stream = file.createReadStream();
    return eachWithin(stream, {
      withinMs: stallMs,
      late: () => unavailable(what, new Error(`no bytes for ${stallMs} ms`)),
      signal,
      failed: (error) => unavailable(what, error),
      dispose: () => void stream.destroy(),
    });
  }

  return {
    async put(key, body, { sha256, signal } = {}) {
      const target = fileOf(key);
      const what = `write object ${key}`;
      const { path, bytes } = await writeTemporary(
        what,
        checkedChunks(key, body, { sha256, signal, stallMs }),
      );
      await fileErrors(what, () => publish(path, target));
      return { key, bytes };
    },
    async get(key, signal) {
      const stream = await openStream(key, signal);
      return stream === null ? null : collectBytes(stream);
    },
    getStream: openStream,
    async head(key) {
      const path = fileOf(key);
      const stats = await orNull(`look up object ${key}`, () => stat(path));
      return stats === null ? null : { key, bytes: stats.size };
    },
    async delete(keys) {
      // Empty folders stay: removing one could race with a put that has just made it.
      for (const path of keys.map(fileOf)) await orNull("delete an object", () => unlink(path));
    },
    async *list(prefix): AsyncGenerator<ObjectInfo, void, undefined> {
      try {
        yield* walkObjects(dir, prefix);
      } catch (error) {
        throw unavailable("list objects", error);
      }
    },
    async check() {
      const what = `write below ${dir}`;
      const { path } = await writeTemporary(what, oneByte());
      await fileErrors(what, () => unlink(path));
    },
    async close() {},
  };
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length;) {
    at += (await file.write(chunk, at)).bytesWritten; // less than asked for when the disk is nearly full
  }
}

async function* oneByte(): AsyncGenerator<Uint8Array, void, undefined> {
  yield new Uint8Array(1);
}

async function removeAbandoned(temporaryDir: string): Promise<void> {
  for (const name of await readdir(temporaryDir)) {
    const path = join(temporaryDir, name);
    const stats = await stat(path).catch(() => null);
    if (stats !== null && Date.now() - stats.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}

/** For calls of the file system alone, so that every failure is the store's. */
async function fileErrors<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unavailable(what, error);
  }
}

function unavailable(what: string, cause: unknown): HAError {
  const { code } = cause as NodeJS.ErrnoException;
  const reason =
    code === "ENOSPC" || code === "EDQUOT" ? "no space left on the disk" : asHAError(cause).message;
  return new HAError("STORE_UNAVAILABLE", `cannot ${what}: ${reason}`, { code }, { cause });
}
