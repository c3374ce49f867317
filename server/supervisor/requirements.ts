import { execa } from "execa";
import { findProgram } from "../adapters/local/find-program.ts";
import type { ProgramFolders } from "../adapters/local/find-program.ts";
import { HAError } from "../core/errors.ts";
import type { Progress } from "./contract.ts";
import type { DesiredTopology } from "./deployment.ts";

/** A program that is needed and not there. */
export interface MissingProgram {
  readonly names: readonly string[];
  /** What it is for. */
  readonly purpose: string;
  readonly lookedIn: ProgramFolders;
}

/** Either will do: both speak the same protocol. */
const REDIS_PROGRAMS = ["redis-server", "valkey-server"];

/** What the topology needs and this machine lacks. PostgreSQL comes with the npm packages. */
export function missingPrograms(desired: DesiredTopology, folders: ProgramFolders): MissingProgram[] {
  const redis = desired.redis.mode === "local" && findProgram(REDIS_PROGRAMS, folders) === null;
  return redis ? [{ names: REDIS_PROGRAMS, purpose: "the queue and live events", lookedIn: folders }] : [];
}

/** A package manager and how it installs Redis. */
interface PackageManager {
  readonly program: string;
  readonly commands: readonly (readonly string[])[];
}

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  {
    program: "apt-get",
    commands: [
      ["apt-get", "update"],
      ["apt-get", "install", "-y", "--no-install-recommends", "redis-server"],
    ],
  },
  { program: "dnf", commands: [["dnf", "install", "-y", "redis"]] },
  { program: "apk", commands: [["apk", "add", "redis"]] },
  { program: "brew", commands: [["brew", "install", "redis"]] },
];

const managerOf = (folders: ProgramFolders): PackageManager | null =>
  PACKAGE_MANAGERS.find(({ program }) => findProgram([program], folders) !== null) ?? null;

/** The error of `up` without `--install`: what is missing, where it was looked for, and the one command. */
export function missingError(missing: MissingProgram, folders: ProgramFolders): HAError {
  const manager = managerOf(folders);
  const command = manager?.commands.at(-1)?.join(" ");
  return new HAError(
    "MISSING_DEPENDENCY",
    `${missing.names.join(" or ")} is not installed; it holds ${missing.purpose} (looked in ${missing.lookedIn.join(", ")})`,
    {
      programs: missing.names,
      hint: `run \`openclaw-ha up --install\`${command === undefined ? "" : `, or \`${command}\``}, or give --redis-url`,
    },
  );
}

/**
 * Installs Redis with the system's package manager and makes sure that it is there then. What the package manager
 * prints is told line by line. A service that the package starts by itself is not ours and is left alone.
 * @throws HAError MISSING_DEPENDENCY when there is no package manager that we know, or it failed
 */
export async function installMissing(
  missing: readonly MissingProgram[],
  folders: ProgramFolders,
  env: Readonly<Record<string, string | undefined>>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  if (missing.length === 0) return;
  const manager = managerOf(folders);
  if (manager === null) {
    throw new HAError("MISSING_DEPENDENCY", "no package manager that openclaw-ha knows is installed here", {
      hint: "install redis-server yourself, or give --redis-url",
    });
  }
  const prefix = await privilege(manager.program, folders);
  for (const words of manager.commands) {
    const [command = "", ...args] = [...prefix, ...words];
    progress(`running ${[command, ...args].join(" ")}`);
    await runTelling(command, args, { ...env, DEBIAN_FRONTEND: "noninteractive" }, progress, signal);
  }
  for (const { names } of missing) {
    if (findProgram(names, folders) !== null) continue;
    throw new HAError(
      "MISSING_DEPENDENCY",
      `${names.join(" or ")} is still missing after ${manager.program} ran`,
    );
  }
}

/** System package managers want root; Homebrew refuses it. */
async function privilege(program: string, folders: ProgramFolders): Promise<readonly string[]> {
  if (program === "brew" || process.getuid?.() === 0) return [];
  const sudo = findProgram(["sudo"], folders);
  if (sudo === null) return [];
  // Only where it asks nothing: this may run without a terminal.
  const { failed: asks } = await execa(sudo, ["-n", "true"], { reject: false });
  return asks ? [sudo] : [sudo, "-n"];
}

/** @throws the signal's reason when it aborted, else HAError MISSING_DEPENDENCY */
async function runTelling(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const running = execa(command, args, {
    env,
    extendEnv: false,
    stdin: "inherit",
    all: true,
    buffer: false,
    reject: false,
    cancelSignal: signal,
  });
  for await (const line of running.iterable({ from: "all" })) {
    if (line.trim() !== "") progress(`  ${line.trimEnd()}`);
  }
  const ended = await running;
  signal.throwIfAborted();
  if (ended.failed) {
    const how = ended.exitCode === undefined ? ended.shortMessage : `exit code ${ended.exitCode}`;
    throw failed([command, ...args].join(" "), how ?? "unknown");
  }
}

const failed = (what: string, how: string): HAError =>
  new HAError("MISSING_DEPENDENCY", `\`${what}\` failed (${how})`, {
    hint: "install redis-server yourself, or give --redis-url",
  });
