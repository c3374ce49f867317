import { execFile, spawn } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { HAError } from "../../core/errors.ts";
import type { PostgresBinaries, UnprivilegedUser } from "./postgres-binaries.ts";
import { folderError } from "./store-folder.ts";

const run = promisify(execFile);

/** Name of the superuser of an embedded cluster. */
export const SUPERUSER = "openclaw_ha_admin";

/**
 * How the server and initdb are told where the data is. As another user they may not be able to walk to it (a home of
 * mode 0700), so they are started inside it and name it through /proc, which needs no rights on the way.
 */
export const dataPath = (dataDir: string, user: UnprivilegedUser | undefined): string =>
  user === undefined || process.platform !== "linux" ? dataDir : "/proc/self/cwd";

/** Settings that make sense for many short transactions on one machine; the operator may edit postgresql.conf. */
const SETTINGS: Readonly<Record<string, string>> = {
  max_connections: "200",
  shared_buffers: "128MB",
  synchronous_commit: "on",
  password_encryption: "scram-sha-256",
  jit: "off", // planning a hot statement for LLVM costs more than running it
  log_timezone: "UTC",
  timezone: "UTC",
};

/** Only loopback and only with the password; no Unix socket is opened at all. */
const HBA = "host all all 127.0.0.1/32 scram-sha-256\n";

/**
 * Makes a cluster in `dataDir`, where there is none: checksums, UTF-8, the superuser's password. It is made in a
 * folder beside it and renamed when it is complete, so a killed attempt leaves only a folder that the next one removes.
 * @throws HAError CONFIG_INVALID, STORE_UNAVAILABLE (disk full)
 */
export async function initializeData(
  dataDir: string,
  binaries: PostgresBinaries,
  user: UnprivilegedUser | undefined,
  password: string,
  durable: boolean,
): Promise<void> {
  const parent = join(dataDir, "..");
  await removeLeftovers(parent);
  const temporary = await mkdtemp(join(parent, TEMPORARY_PREFIX)).catch((error: unknown) => {
    throw folderError(parent, error);
  });
  try {
    await chmod(temporary, 0o700);
    if (user !== undefined) await chown(temporary, user.uid, user.gid);
    await initdb(temporary, binaries, user, durable);
    await writeFile(join(temporary, "pg_hba.conf"), HBA);
    await setPassword(temporary, binaries, user, password);
    await rename(temporary, dataDir);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

const TEMPORARY_PREFIX = ".initdb-";

async function removeLeftovers(parent: string): Promise<void> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const names = (await readdir(parent)).filter((name) => name.startsWith(TEMPORARY_PREFIX));
  for (const name of names) await rm(join(parent, name), { recursive: true, force: true });
}

async function initdb(
  folder: string,
  binaries: PostgresBinaries,
  user: UnprivilegedUser | undefined,
  durable: boolean,
): Promise<void> {
  const args = [
    `--pgdata=${dataPath(folder, user)}`,
    `--username=${SUPERUSER}`,
    "--encoding=UTF8",
    "--no-locale",
    "--auth=reject", // pg_hba.conf is replaced before anybody can connect; until then nobody may
    "--data-checksums",
    "--no-instructions",
    ...(durable ? [] : ["--no-sync"]),
    ...Object.entries(SETTINGS).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
  ];
  try {
    await run(binaries.initdb, args, { ...user, cwd: folder, env: POSTGRES_ENV });
  } catch (error) {
    throw initdbError(folder, error as Error & { stderr?: string });
  }
}

/** Nothing of ours: PG* variables of the caller's shell would change what the programs do. */
export const POSTGRES_ENV: Readonly<Record<string, string>> = {
  LC_ALL: "C",
  TZ: "UTC",
  PATH: "/usr/bin:/bin",
};

function initdbError(folder: string, error: Error & { stderr?: string }): HAError {
  const output = error.stderr ?? error.message;
  if (/No space left on device|disk quota exceeded/iu.test(output)) {
    return folderError(folder, Object.assign(error, { code: "ENOSPC" }));
  }
  const message = `PostgreSQL's initdb failed: ${output.trim()}`;
  return new HAError("CONFIG_INVALID", message, { folder }, { cause: error });
}

/**
 * Sets the superuser's password in a cluster that does not run. It goes through the standard input of a single-user
 * server: never in a file, in arguments or in a log.
 */
export async function setPassword(
  dataDir: string,
  binaries: PostgresBinaries,
  user: UnprivilegedUser | undefined,
  password: string,
): Promise<void> {
  const args = ["--single", "-D", dataPath(dataDir, user), "-c", "log_min_error_statement=panic", "postgres"];
  const child = spawn(binaries.postgres, args, {
    ...user,
    cwd: dataDir,
    env: { ...POSTGRES_ENV },
    stdio: ["pipe", "ignore", "pipe"],
  });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  child.stdin.on("error", () => {}); // it ended early: its exit code and output say why
  child.stdin.end(`ALTER ROLE "${SUPERUSER}" PASSWORD '${password.replaceAll("'", "''")}'\n`);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code === 0 && !output.includes("ERROR:")) return;
  throw new HAError("STORE_UNAVAILABLE", `cannot set the password of PostgreSQL: ${output.trim()}`, {
    dataDir,
  });
}

/** Major version of the cluster in `dataDir`, null where there is none. @throws HAError CONFIG_INVALID when unreadable */
export async function dataVersion(dataDir: string): Promise<string | null> {
  try {
    return (await readFile(join(dataDir, "PG_VERSION"), "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw folderError(dataDir, error);
  }
}
