import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ensureFolder, notWritable } from "./atomic-file.ts";

/** The right to change a deployment. */
export interface DeploymentLock {
  release(): void;
}

const SQLITE_BUSY = 5;

/**
 * Takes the lock of a data directory, or answers null while another process has it.
 *
 * It is a lock of the operating system on an SQLite file, not a file that exists: the kernel gives it back when its
 * holder dies, however it dies, so that there is no stale lock to judge, and no moment at which two processes that
 * both judge one stale could both take it. Node has no call of its own for such locks.
 * @throws HAError CONFIG_INVALID when the folder cannot be written
 */
export async function tryLock(file: string): Promise<DeploymentLock | null> {
  const folder = path.dirname(file);
  await ensureFolder(folder);
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw notWritable(folder, error);
  }
}
