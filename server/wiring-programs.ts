import { findProgram, programFolders } from "./adapters/local/find-program.ts";

/**
 * Finds a program of this machine by its name: the checkout's own tools first, then PATH, then the usual places.
 * Absolute path, or null.
 */
export function programFinder(options: {
  /** Folder of package.json. */
  readonly packageRoot: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}): (name: string) => string | null {
  const { env, packageRoot } = options;
  const folders = programFolders(packageRoot, env["PATH"] ?? "", env["HOME"] ?? null);
  // Where Go's own installer puts it, which is on the PATH of login shells only.
  return (name) => findProgram([name], [...folders, "/usr/local/go/bin"]);
}
