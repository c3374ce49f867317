import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HAError } from "../../server/core/errors.ts";
import type { Edit } from "./planted-bug.ts";

/** What a build is made of. Everything else, tests above all, is not part of the program. */
const COPIED = ["bin", "chaos", "cli", "loadtest", "migrate", "server", "package.json", "package-lock.json"];

/** A copy of the program that differs from it by some edits. */
export interface Build {
  readonly root: string;
  /** Its `bin/openclaw-ha`. */
  readonly program: string;
}

/**
 * Copies the sources of a checkout into an empty folder and edits the copy; the packages are shared.
 * @throws HAError CONFIG_INVALID when the text of an edit does not stand in its file exactly once
 */
export async function makeBuild(checkout: string, root: string, edits: readonly Edit[]): Promise<Build> {
  for (const part of COPIED) {
    await mkdir(join(root, part, ".."), { recursive: true });
    await cp(join(checkout, part), join(root, part), {
      recursive: true,
      filter: (source) => !source.endsWith(".test.ts"),
    });
  }
  await symlink(join(checkout, "node_modules"), join(root, "node_modules"));
  for (const [file, of] of Map.groupBy(edits, (edit) => edit.file)) {
    const text = await readFile(join(root, file), "utf8");
    await writeFile(join(root, file), edited(text, of));
  }
  return { root, program: join(root, "bin", "openclaw-ha") };
}

/** @throws HAError CONFIG_INVALID when the text of an edit does not stand there exactly once */
export function edited(text: string, edits: readonly Edit[]): string {
  let changed = text;
  for (const { file, find, replace } of edits) {
    const times = changed.split(find).length - 1;
    if (times !== 1) {
      throw new HAError("CONFIG_INVALID", `${file} holds the text that is to be edited ${times} times`, {
        file,
        find,
        hint: "the sources have changed: change the edit in chaos/bugs so that it finds its place again",
      });
    }
    changed = changed.replace(find, () => replace);
  }
  return changed;
}
