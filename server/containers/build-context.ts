import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";

/** Files and folders of one directory that go into a build context under the same names. */
export interface ContextPart {
  readonly directory: string;
  readonly entries: readonly string[];
  /** Stands for the content where reading it all would take long (hundreds of MB of packages: their lock file). */
  readonly key?: string;
}

/** What no image needs of our sources: tests, their helpers, and what they are about. */
const LEFT_OUT = /\.test\.tsx?$|(^|\/)(testing|fixtures|e2e)\//;

/** SHA-256 over names, modes and bytes of the parts; the same for the same content, wherever it lies. */
export async function contextHash(parts: readonly ContextPart[]): Promise<string> {
  const hash = createHash("sha256");
  for (const part of parts) {
    if (part.key === undefined) {
      for (const file of await filesOf(part)) await hashFile(hash, part.directory, file);
    } else hash.update(`${part.entries.join("\0")}\0${part.key}\0`);
  }
  return hash.digest("hex");
}

/** The parts as one tar archive, as `docker build -` reads it. Needs GNU tar, which every Linux has. */
export async function contextArchive(parts: readonly ContextPart[]): Promise<Readable> {
  // Who owns the checkout, and with which umask, is no part of an image.
  const args = ["--create", "--file=-", "--owner=0", "--group=0", "--mode=u+rw,go+rX,go-w"];
  for (const part of parts) {
    const names = part.key === undefined ? await filesOf(part) : part.entries;
    args.push(`--directory=${part.directory}`, ...names);
  }
  return execa("tar", args, { buffer: { stdout: false } }).stdout;
}

async function filesOf({ directory, entries }: ContextPart): Promise<string[]> {
  const files: string[] = [];
  for (const entry of entries) {
    const path = join(directory, entry);
    if ((await stat(path)).isFile()) files.push(entry);
    else {
      const below = await readdir(path, { recursive: true, withFileTypes: true });
      for (const file of below) {
        if (file.isFile()) files.push(relative(directory, join(file.parentPath, file.name)));
      }
    }
  }
  return files.filter((file) => !LEFT_OUT.test(file)).sort();
}

async function hashFile(hash: Hash, directory: string, file: string): Promise<void> {
  const path = join(directory, file);
  const { mode, size } = await stat(path);
  hash.update(`${file}\0${mode & 0o111}\0${size}\0`);
  await pipeline(createReadStream(path), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) hash.update(chunk);
  });
}
