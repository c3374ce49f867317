import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { HAError } from "../server/core/errors.ts";

/** Where OpenClaw's package has its built Control UI. */
const BUILD = path.join("dist", "control-ui");

const isBuild = (folder: string): boolean => existsSync(path.join(folder, "index.html"));

/**
 * The Control UI of an OpenClaw that is installed on this machine: in the folder or one above it, else the one whose
 * program is on PATH, else beside a global npm or Node. Absolute; null where there is none.
 */
export function findControlUi(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  nodePath: string = process.execPath,
): string | null {
  for (const place of candidates(cwd, env, nodePath)) {
    const build = path.join(place, BUILD);
    if (isBuild(build)) return build;
  }
  return null;
}

/** Folders in which the package may lie. */
function* candidates(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  nodePath: string,
): Generator<string> {
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    yield path.join(folder, "node_modules", "openclaw");
    if (folder === path.dirname(folder)) break;
  }
  const onPath = (env["PATH"] ?? "").split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  for (const folder of onPath) {
    const program = real(path.join(folder, "openclaw"));
    if (program !== null) yield path.dirname(program);
  }
  for (const folder of onPath) {
    // …/lib/node_modules/npm/bin/npm-cli.js
    const npm = real(path.join(folder, "npm"));
    if (npm !== null) yield path.join(npm, "..", "..", "..", "openclaw");
  }
  yield path.join(path.dirname(nodePath), "..", "lib", "node_modules", "openclaw");
}

function real(file: string): string | null {
  try {
    return realpathSync(file);
  } catch {
    return null;
  }
}

/**
 * A folder that somebody named, or that of a package whose build it is.
 * @throws HAError REQUEST_INVALID where no build lies there
 */
export function namedControlUi(folder: string): string {
  const found = [folder, path.join(folder, BUILD)].find(isBuild);
  if (found !== undefined) return found;
  throw new HAError("REQUEST_INVALID", `there is no Control UI in ${folder}: it has no index.html`, {
    hint: "name the folder dist/control-ui of an installed openclaw (npm install -g openclaw)",
  });
}
