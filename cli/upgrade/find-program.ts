import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { HAError } from "../../server/core/errors.ts";
import type { UpgradeRequest } from "../../server/supervisor/contract.ts";

/** Where a checkout of this program begins. */
export const mainOf = (root: string): string => path.join(root, "cli", "main.ts");

/**
 * The checkout of this program that lies in a folder, ready to run.
 * @throws HAError CONFIG_INVALID for a folder that holds none, or one whose packages are not installed
 */
export function findProgram(root: string): UpgradeRequest["program"] {
  const version = versionOf(root);
  if (version === null || !existsSync(mainOf(root))) {
    throw new HAError("CONFIG_INVALID", `${root} holds no openclaw-ha`, {
      hint: "name the folder of a checkout: the one that holds bin/openclaw-ha",
    });
  }
  if (!existsSync(path.join(root, "node_modules"))) {
    throw new HAError("CONFIG_INVALID", `the packages of ${root} are not installed`, {
      hint: `run \`${path.join(root, "bin", "openclaw-ha")} --version\` once, which installs them`,
    });
  }
  return { root, version };
}

function versionOf(root: string): string | null {
  try {
    const text = readFileSync(path.join(root, "package.json"), "utf8");
    const manifest = JSON.parse(text) as { readonly name?: unknown; readonly version?: unknown };
    return manifest.name === "openclaw-ha" && typeof manifest.version === "string" ? manifest.version : null;
  } catch {
    return null;
  }
}
