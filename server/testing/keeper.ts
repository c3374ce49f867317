import { existsSync } from "node:fs";
import { readdir, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endEmbeddedPostgres, startEmbeddedPostgres } from "../adapters/local/embedded-postgres.ts";
import { freePort } from "../adapters/local/free-port.ts";
import { endProcess, isRunning } from "../adapters/local/process-table.ts";
import { dockerCli } from "../containers/docker.ts";
import { removeRun } from "../containers/ownership.ts";
import { containersWanted, startSharedPostgresContainer } from "./container-stores.ts";
import { endAllUnder } from "./processes-under.ts";
import { keeperFiles } from "./keeper-files.ts";
import type { Guarded, SharedPostgres } from "./keeper-files.ts";

/**
 * Keeps what the test files of one vitest run share, and cleans up after them: a process of its own, because test
 * workers come and go and any of them, or the whole run, may be killed. It starts PostgreSQL when it is wanted and ends
 * when the run's main process is gone, ending every server and removing every container that is left.
 *
 * Arguments: the folder, pid and identity of the run's main process.
 */

const POLL_MS = 50;
const [folder, ownerPid, ownerIdentity] = process.argv.slice(2) as [string, string, string];
const files = keeperFiles(folder);

// A terminal's Ctrl-C ends the run; the keeper then sees that, as always.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});

while (isRunning(Number(ownerPid), ownerIdentity)) {
  if (existsSync(files.postgresWanted) && !existsSync(files.postgres)) await announce(await startPostgres());
  await sleep(POLL_MS);
}
await endGuarded();
if (containersWanted()) await removeRun(dockerCli, basename(folder));
await endEmbeddedPostgres(files.postgresFolder);
await rm(folder, { recursive: true, force: true });

async function startPostgres(): Promise<SharedPostgres> {
  try {
    if (containersWanted()) {
      const owner = { run: basename(folder), pid: Number(ownerPid), identity: ownerIdentity };
      return { url: await startSharedPostgresContainer(owner) };
    }
    const { url } = await startEmbeddedPostgres({
      dir: files.postgresFolder,
      port: await freePort(),
      durable: false,
    });
    return { url };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

async function announce(postgres: SharedPostgres): Promise<void> {
  await writeFile(`${files.postgres}.tmp`, JSON.stringify(postgres), { mode: 0o600 });
  await rename(`${files.postgres}.tmp`, files.postgres);
}

async function endGuarded(): Promise<void> {
  for (const name of await readdir(files.guarded)) {
    const guarded = JSON.parse(await readFile(join(files.guarded, name), "utf8")) as Guarded;
    await endProcess(guarded.pid, guarded.identity, []);
  }
  for (const name of await readdir(files.guardedFolders).catch(() => [])) {
    await endAllUnder(await readlink(join(files.guardedFolders, name)));
  }
}
