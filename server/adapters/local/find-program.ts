import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { HAError } from "../../core/errors.ts";

/** Where programs are looked for, in this order. */
export type ProgramFolders = readonly string[];

/** Folders of system programs that a bare PATH (a service manager's, cron's) lacks. */
const USUAL_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/opt/homebrew/bin"];

/**
 * The project's own tools first, then PATH, then Go's default target, then the usual places.
 * @param packageRoot folder of package.json; downloaded tools lie in its `.cache/bin`
 * @param path value of PATH
 * @param home the user's home, null when unknown
 */
export function programFolders(packageRoot: string, path: string, home: string | null): ProgramFolders {
  const onPath = path.split(delimiter).filter(isAbsolute); // a relative entry would depend on where we were started
  const go = home === null ? [] : [join(home, "go", "bin")];
  return [...new Set([join(packageRoot, ".cache", "bin"), ...onPath, ...go, ...USUAL_FOLDERS])];
}

/** Absolute path of the first of the names that is an executable file, names before folders; null when there is none. */
export function findProgram(names: readonly string[], folders: ProgramFolders): string | null {
  for (const name of names) {
    for (const folder of folders) {
      const file = join(folder, name);
      if (isExecutable(file)) return file;
    }
  }
  return null;
}

/**
 * As `findProgram`, but the program is needed.
 * @param install how to get it, a command where there is one
 * @throws HAError MISSING_DEPENDENCY that says what was looked for, where, and how to install it
 */
export function requireProgram(names: readonly string[], folders: ProgramFolders, install: string): string {
  const found = findProgram(names, folders);
  if (found !== null) return found;
  const message = `${names.join(" or ")} is not installed (looked in ${folders.join(", ")}); ${install}`;
  throw new HAError("MISSING_DEPENDENCY", message, { programs: names, install });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
