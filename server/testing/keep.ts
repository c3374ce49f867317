import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { processIdentity } from "../adapters/local/process-table.ts";
import type { Owner } from "../containers/ownership.ts";
import { keeperFiles } from "./keeper-files.ts";
import type { SharedPostgres } from "./keeper-files.ts";
import { until } from "./until.ts";

const KEEPER = fileURLToPath(new URL("keeper.ts", import.meta.url));
const POSTGRES_TIMEOUT_MS = 60_000;

/**
 * The folder of this vitest run, with a keeper watching over it (keeper.ts). The first to ask makes it; the folder's
 * name holds the run's main process, so concurrent runs never meet.
 */
export function runFolder(): string {
  const owner = runOwner();
  const identity = processIdentity(owner);
  if (identity === null) throw new Error(`the run's main process ${owner} is gone`);
  const started = identity.replaceAll(/[^0-9A-Za-z]+/gu, "-").slice(-24);
  const folder = join(tmpdir(), `openclaw-ha-test-${owner}-${started}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return folder;
    throw error;
  }
  const files = keeperFiles(folder);
  mkdirSync(files.guarded);
  mkdirSync(files.stores);
  const log = openSync(files.log, "a", 0o600);
  const keeper = spawn(process.execPath, [KEEPER, folder, String(owner), identity], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  });
  closeSync(log);
  keeper.unref();
  return folder;
}

/** URL of the run's PostgreSQL, started when nobody has asked before. */
export async function sharedPostgresUrl(): Promise<string> {
  const files = keeperFiles(runFolder());
  await until(() => writeFile(files.postgresWanted, "").then(() => true));
  const text = await until(() => readFileSync(files.postgres, "utf8"), {
    timeoutMs: POSTGRES_TIMEOUT_MS,
    what: `the start of the tests' PostgreSQL (log: ${files.log})`,
  });
  const postgres = JSON.parse(text) as SharedPostgres;
  if ("error" in postgres) throw new Error(`the tests' PostgreSQL does not start: ${postgres.error}`);
  return postgres.url;
}

/** A folder for a server that a test starts; gone with the run at the latest. */
export async function storeFolder(name: string): Promise<string> {
  const { stores } = keeperFiles(runFolder());
  await mkdir(stores, { recursive: true });
  return mkdtemp(join(stores, `${name}-`));
}

/** Whose containers a test's are: the keeper removes them when the run is over, should the test not do it. */
export function containerOwner(): Owner {
  const pid = runOwner();
  return { run: basename(runFolder()), pid, identity: processIdentity(pid) ?? "" };
}

/** Has the keeper end that process when the run is over, should the test not do it. */
export async function guard(pid: number, identity: string): Promise<void> {
  const { guarded } = keeperFiles(runFolder());
  await mkdir(guarded, { recursive: true });
  await writeFile(join(guarded, `${pid}.json`), JSON.stringify({ pid, identity }));
}

/** Has the keeper end every process that has to do with this folder when the run is over. */
export async function guardFolder(folder: string): Promise<void> {
  const { guardedFolders } = keeperFiles(runFolder());
  await mkdir(guardedFolders, { recursive: true });
  await symlink(folder, join(guardedFolders, basename(folder)));
}

/** Main process of the run: vitest runs test files in worker threads of it, or in processes forked from it. */
function runOwner(): number {
  const forked = isMainThread && process.send !== undefined;
  return forked ? process.ppid : process.pid;
}
