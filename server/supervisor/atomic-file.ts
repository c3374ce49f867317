import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { HAError } from "../core/errors.ts";

/** Only the owner reads what a deployment writes about itself: tokens and passwords are among it. */
const PRIVATE_FILE = 0o600;
const PRIVATE_FOLDER = 0o700;

/**
 * Replaces a file so that a reader, and whoever comes after a crash, sees the old content or the new one, never a part.
 * Killed before the rename: the old content stays, and a temporary file that nobody reads.
 * @throws HAError CONFIG_INVALID when the folder cannot be written
 */
export async function writeFileAtomically(file: string, content: string): Promise<void> {
  const folder = path.dirname(file);
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  await ensureFolder(folder);
  try {
    const handle = await open(temporary, "wx", PRIVATE_FILE);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw notWritable(folder, error);
  }
  await syncFolder(folder);
}

/**
 * Makes a folder and those above it, for the owner alone; one that is there already stays as it is.
 *
 * Not `mkdir` with `recursive`: where the system answers ENOENT although the folder above exists, as below /proc,
 * Node 24 tries again for ever.
 * @throws HAError CONFIG_INVALID when it cannot be made
 */
export async function ensureFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder, path.dirname(folder));
  } catch (error) {
    throw notWritable(folder, error);
  }
}

async function makeFolder(folder: string, parent: string, again = true): Promise<void> {
  try {
    await mkdir(folder, { mode: PRIVATE_FOLDER });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isThere = (place: string): Promise<boolean> =>
      stat(place).then(
        (found) => found.isDirectory(),
        () => false,
      );
    if (code === "EEXIST" && (await isThere(folder))) return;
    if (code !== "ENOENT" || parent === folder || !again) throw error;
    // Another start may have made it since; where it is there and nothing can be made in it, once more is enough.
    if (!(await isThere(parent))) await makeFolder(parent, path.dirname(parent));
    await makeFolder(folder, parent, false);
  }
}

/** The text of a file, or null where there is none. */
export async function readFileIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new HAError(
      "CONFIG_INVALID",
      `${file} cannot be read (${code ?? String(error)})`,
      { file },
      { cause: error },
    );
  }
}

/** A folder that cannot be written, as the error that a user of the command line meets. */
export function notWritable(folder: string, cause: unknown): HAError {
  const { code } = cause as NodeJS.ErrnoException;
  return new HAError(
    "CONFIG_INVALID",
    `the data directory ${folder} cannot be written (${code ?? String(cause)})`,
    { folder, hint: "make it writable, or choose another with --data-dir" },
    { cause },
  );
}

/** A rename is durable once its folder is; some file systems cannot sync a folder, and do not need it. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    return;
  }
}
