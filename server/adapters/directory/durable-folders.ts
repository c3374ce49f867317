import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** Folders remembered as flushed; forgotten all at once when there are more, which costs a few flushes. */
const REMEMBERED_MAX = 10_000;

export interface DurableFolders {
  /** Makes the folder and those above it; when it resolves, a crash of the machine does not take it away. */
  make(folder: string): Promise<void>;
}

/**
 * Folders whose names are flushed to disk. A folder that exists may have been made by another process that has not
 * flushed it yet, so what this process has not seen flushed it flushes itself, up to the root of the file system.
 */
export function durableFolders(): DurableFolders {
  const flushed = new Set<string>();
  return {
    async make(folder) {
      if (flushed.has(folder)) return;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (let at = folder; !flushed.has(at) && dirname(at) !== at; at = dirname(at)) {
        if (!(await syncIfReadable(dirname(at)))) break;
        if (flushed.size >= REMEMBERED_MAX) flushed.clear();
        flushed.add(at);
      }
    },
  };
}

/** Flushes the names in a folder. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** False for folders above ours that we may not read: whoever made ours did not make those just now. */
async function syncIfReadable(folder: string): Promise<boolean> {
  try {
    await syncFolder(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM" || code === "EINVAL" || code === "EROFS") return false;
    throw error;
  }
}
