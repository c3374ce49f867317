import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HAError } from "../../core/errors.ts";
import { isPortFree } from "./free-port.ts";

/** Creates the folder of a store, mode 0700, whatever the umask. @throws HAError CONFIG_INVALID when not writable */
export async function ensureFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await chmod(dir, 0o700);
  } catch (error) {
    throw folderError(dir, error);
  }
}

/** A file error as the operator needs it: what is wrong with which path. */
export function folderError(path: string, cause: unknown): HAError {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  if (code === "ENOSPC" || code === "EDQUOT") {
    const message = `no space left on the disk of ${path}; free some and try again`;
    return new HAError("STORE_UNAVAILABLE", message, { path }, { cause });
  }
  const message = `cannot write ${path}: ${(cause as Error).message}; choose another data directory or mend its rights`;
  return new HAError("CONFIG_INVALID", message, { path }, { cause });
}

/** Writes a file of mode 0600 so that a crash leaves the old content or the new one. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w", 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    throw folderError(path, error);
  }
}

/** The password kept in `<dir>/password`; made and stored on first use, 192 bits in hex. */
export async function storePassword(dir: string): Promise<{ password: string; created: boolean }> {
  const path = join(dir, "password");
  const kept = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw folderError(path, error);
  });
  if (kept.trim() !== "") return { password: kept.trim(), created: false };
  const password = randomBytes(24).toString("hex");
  await writePrivateFile(path, `${password}\n`);
  return { password, created: true };
}

/**
 * The kernel calls a process with several threads dead a moment before the last of them lets go of its sockets: a store
 * that has just been ended may hold its port for so long.
 */
const LETTING_GO_MS = 1_000;
const POLL_MS = 50;

/** @throws HAError CONFIG_INVALID when something listens there and goes on to */
export async function requireFreePort(name: string, port: number): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    if (await isPortFree(port)) return;
    if (waitedMs >= LETTING_GO_MS) break;
    await sleep(POLL_MS);
  }
  const message = `port ${port} of 127.0.0.1, meant for ${name}, is taken by another process`;
  throw new HAError("CONFIG_INVALID", message, { port });
}
