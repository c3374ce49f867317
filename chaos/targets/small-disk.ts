import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { HAError } from "../../server/core/errors.ts";
import type { Target } from "./target.ts";

/** Room for a small cluster with its logs and little more: a disk that fills in a moment. */
const DISK_MB = 400;
/** Large at first, since filling must not take longer than the fault; halved down to a page where it does not fit. */
const CHUNK_BYTES = 16 * 2 ** 20;
const PAGE_BYTES = 4_096;
/** What a file system may keep for itself. */
const LEFT_MAX_BYTES = 256 * 1024;

/** True where this user may mount a disk of its own. */
export const canMount = (): boolean => process.platform === "linux" && process.getuid?.() === 0;

/**
 * A disk of its own for a deployment, in memory. The run folder takes it off again (run-folder.ts).
 * @throws HAError MISSING_DEPENDENCY where the machine does not let its root mount one, as in some containers
 */
export function smallDisk(path: string): NonNullable<Target["disk"]> & { readonly path: string } {
  mkdirSync(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MB}m,mode=755`, "tmpfs", path], {
      stdio: "pipe",
    });
  } catch (error) {
    throw new HAError(
      "MISSING_DEPENDENCY",
      "this machine does not let chaos mount a small disk",
      {},
      { cause: error },
    );
  }
  const filler = join(path, "filler");
  return {
    path,
    async fill() {
      const file = await open(filler, "w");
      const chunk = Buffer.alloc(CHUNK_BYTES);
      let bytes = 0;
      try {
        for (let size = CHUNK_BYTES; size >= PAGE_BYTES;) {
          try {
            bytes += (await file.write(chunk, 0, size)).bytesWritten;
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
            size /= 2;
          }
        }
      } finally {
        await file.close();
      }
      const { bavail, bsize } = await statfs(path);
      if (bavail * bsize > LEFT_MAX_BYTES) throw new Error(`${bavail * bsize} bytes are still free`);
      return `no space left after ${Math.round(bytes / 2 ** 20)} MB, ${bavail * bsize} bytes free`;
    },
    async free() {
      await rm(filler, { force: true });
    },
  };
}
