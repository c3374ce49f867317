import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

/** The version of an installed package, which may not export its package.json. */
export function packageVersion(name: string): string {
  const file = fileURLToPath(new URL(`../../../node_modules/${name}/package.json`, import.meta.url));
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

const POLL_MS = 5;

/** Asks until the answer is yes. */
export async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await sleep(POLL_MS);
}
