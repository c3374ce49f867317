import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { HAError } from "../../core/errors.ts";
import { runStore } from "./local-store.ts";
import type { FoundProcess, LocalStore, LocalStoreOptions } from "./local-store.ts";
import { postgresBinaries } from "./postgres-binaries.ts";
import type { PostgresBinaries, UnprivilegedUser } from "./postgres-binaries.ts";
import {
  dataPath,
  dataVersion,
  initializeData,
  POSTGRES_ENV,
  setPassword,
  SUPERUSER,
} from "./postgres-data.ts";
import { clearLeftovers, worksIn } from "./postgres-leftovers.ts";
import { endProcess, processIdentity } from "./process-table.ts";
import type { EndingStep } from "./process-table.ts";
import { ensureFolder, folderError, requireFreePort, storePassword } from "./store-folder.ts";
import { unprivilegedUser } from "./unprivileged-user.ts";

export interface EmbeddedPostgresOptions extends LocalStoreOptions {
  /** False: commits do not wait for the disk. For tests only: a crash of the machine loses the cluster. */
  readonly durable?: boolean;
}

/** A cluster that is ready to be started. */
export interface PreparedPostgres {
  readonly dataDir: string;
  readonly binaries: PostgresBinaries;
  readonly user: UnprivilegedUser | undefined;
  readonly password: string;
}

const NAME = "PostgreSQL";

/** Long enough for the recovery of a cluster that was killed under load. */
const START_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * Fast shutdown: open transactions are rolled back, a checkpoint is written, clients see an orderly end. Then
 * immediate (recovery at the next start), then SIGKILL.
 */
const ENDING: readonly EndingStep[] = [
  { signal: "SIGINT", waitMs: 15_000 },
  { signal: "SIGQUIT", waitMs: 6_000 },
];

/**
 * Makes sure that `<dir>/data` holds a cluster of this PostgreSQL and that its superuser has the password of
 * `<dir>/password`. Does nothing where that is so; must not be called while the cluster runs.
 * @throws HAError CONFIG_INVALID (data of another major version, folder not writable), MISSING_DEPENDENCY,
 *   STORE_UNAVAILABLE (disk full)
 */
export async function prepareEmbeddedPostgres(
  options: Pick<EmbeddedPostgresOptions, "dir" | "durable">,
): Promise<PreparedPostgres> {
  await ensureFolder(options.dir);
  const dataDir = join(options.dir, "data");
  const user = await unprivilegedUser(dataDir);
  const binaries = await postgresBinaries(user);
  const version = await dataVersion(dataDir);
  if (version !== null && version !== binaries.major) throw otherVersion(dataDir, version, binaries.major);
  const { password, created } = await storePassword(options.dir);
  if (version === null) {
    await initializeData(dataDir, binaries, user, password, options.durable ?? true);
  } else if (created && (await findPostmaster(options.dir)) === null) {
    await setPassword(dataDir, binaries, user, password); // the password file was lost: the data is not
  }
  return { dataDir, binaries, user, password };
}

/**
 * Runs embedded PostgreSQL over `<dir>/data`, preparing it first. A server that already runs over it, on the same
 * port, is adopted. As root it runs as an unprivileged user, in a home of mode 0700 too.
 * The URL is the superuser's: for migrations and for taking narrower roles.
 * @throws HAError as `prepareEmbeddedPostgres`; CONFIG_INVALID when the port is taken
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<LocalStore> {
  // Before the work of preparing, for the sake of who waits for the answer; runStore looks again.
  if ((await findPostmaster(options.dir)) === null) await requireFreePort(NAME, options.port);
  const prepared = await prepareEmbeddedPostgres(options);
  const { binaries, dataDir, user, password } = prepared;
  const url = `postgres://${SUPERUSER}:${password}@127.0.0.1:${options.port}/postgres`;
  return runStore(
    {
      name: NAME,
      spec: {
        command: binaries.postgres,
        args: ["-D", dataPath(dataDir, user), ...serverArguments(options)],
        env: POSTGRES_ENV,
        cwd: dataDir,
        ...user,
      },
      url,
      ask: () => answersQuery(url),
      explain: (output) => explain(output, options.port, dataDir),
      ending: ENDING,
      startTimeoutMs: START_TIMEOUT_MS,
      find: () => findPostmaster(options.dir),
      beforeStart: () => clearLeftovers(dataDir),
    },
    options,
  );
}

/** Ends the server of a folder whoever started it; false when none runs. */
export async function endEmbeddedPostgres(dir: string): Promise<boolean> {
  const found = await findPostmaster(dir);
  if (found === null) return false;
  await endProcess(found.pid, found.identity, ENDING);
  return true;
}

/** The running server of a folder by its `postmaster.pid`; null when none runs, and for a stale file. */
export async function findPostmaster(dir: string): Promise<FoundProcess | null> {
  const dataDir = join(dir, "data");
  const lines = (await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
  const pid = Number(lines[0]);
  const identity = processIdentity(pid);
  // A stale file may name a pid that another program has by now; a postmaster's working folder is its data.
  if (identity === null || (await worksIn(pid, dataDir)) === false) return null;
  const port = Number(lines[3]);
  return { pid, identity, port: Number.isInteger(port) && port > 0 ? port : null };
}

function serverArguments(options: EmbeddedPostgresOptions): string[] {
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(options.port),
    unix_socket_directories: "",
    ...(options.durable === false
      ? { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }
      : { fsync: "on" }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

async function answersQuery(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on("error", () => {}); // the connection broke after it was made: the query below rejects
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } finally {
    await client.end().catch(() => {});
  }
}

function otherVersion(dataDir: string, found: string, ours: string): HAError {
  const message = `${dataDir} holds data of PostgreSQL ${found}, this release runs ${ours}; use another data directory, or dump with ${found} and restore`;
  return new HAError("CONFIG_INVALID", message, { dataDir, found, ours });
}

function explain(output: string, port: number, dataDir: string): HAError | null {
  if (/could not bind .*Address already in use/u.test(output)) {
    const message = `port ${port} of 127.0.0.1, meant for PostgreSQL, is taken by another process`;
    return new HAError("CONFIG_INVALID", message, { port });
  }
  if (/No space left on device/u.test(output)) {
    return folderError(dataDir, Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
  }
  if (/lock file "postmaster\.pid" already exists/u.test(output)) {
    const message = `another PostgreSQL runs over ${dataDir}, or a process has the pid that ${dataDir}/postmaster.pid names; end it, or remove that file when no PostgreSQL uses the folder`;
    return new HAError("CONFIG_INVALID", message, { dataDir });
  }
  return null;
}
