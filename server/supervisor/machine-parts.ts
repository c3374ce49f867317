import { existsSync } from "node:fs";
import path from "node:path";
import { endEmbeddedPostgres, startEmbeddedPostgres } from "../adapters/local/embedded-postgres.ts";
import { programFolders } from "../adapters/local/find-program.ts";
import type { ProgramFolders } from "../adapters/local/find-program.ts";
import { endStore } from "../adapters/local/local-store.ts";
import { startRedisServer } from "../adapters/local/redis-server.ts";
import { processProvisioner } from "../adapters/process/provisioner.ts";
import { probeReady } from "../adapters/process/ready-probe.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import { ensureFolder } from "./atomic-file.ts";
import { openBook } from "./book.ts";
import type { SupervisorDatabase } from "./contract.ts";
import { deploymentPaths } from "./deployment.ts";
import { fileInstanceRecords } from "./instance-records.ts";
import { STOP_GRACE_MS } from "./instances.ts";
import { logFileOf, rotateLog } from "./log-files.ts";
import { machineProcesses } from "./machine.ts";
import type { SupervisorParts } from "./parts.ts";
import { storeSet } from "./stores.ts";
import type { OwnStore, StoreProgram } from "./stores.ts";

export interface MachineOptions {
  readonly dataDir: string;
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly database: SupervisorDatabase;
  /** How instances are started; `serve ROLE` follows. */
  readonly program: { readonly command: string; readonly args: readonly string[] };
  /** Environment of instances, below what the deployment sets. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Version of this program. */
  readonly version: string;
  /** Folder of package.json; tools that were downloaded lie in its cache. */
  readonly packageRoot: string;
  /** What an instance may take to end by itself, milliseconds; default a little more than its drain may take. */
  readonly graceMs?: number;
}

/** A replaced instance may have to wait for its predecessor's sessions; longer than that it will not come up. */
const REPLACE_READY_MS = 30_000;

/** An instance that ends so soon after it was ready is not. */
const SETTLE_MS = 500;

/** A supervisor's parts on this machine: processes, files, stores. The lock of the data directory must be held. */
export async function openMachineParts(options: MachineOptions): Promise<SupervisorParts> {
  const { clock, database, dataDir, logger, random } = options;
  const paths = deploymentPaths(dataDir);
  const graceMs = options.graceMs ?? STOP_GRACE_MS;
  await ensureFolder(paths.logs);
  const records = await fileInstanceRecords(paths.run);
  return {
    book: await openBook(dataDir, options.name),
    clock,
    random,
    logger,
    database,
    records,
    graceMs,
    processes: machineProcesses,
    program: { root: options.packageRoot, version: options.version, revision: "" },
    stores: storeSet({ programs: storePrograms(dataDir, searchFolders(options)), clock, logger }),
    provisioner: processProvisioner({
      processes: machineProcesses,
      records,
      clock,
      logger,
      programOf: (root) => programOf(options, root),
      baseEnv: inherited(options.env),
      logFile: (id) => logFileOf(dataDir, id),
      beforeStart: ({ id }) => rotateLog(logFileOf(dataDir, id)),
      probe: probeReady,
      graceMs,
      replaceReadyMs: REPLACE_READY_MS,
      settleMs: SETTLE_MS,
    }),
  };
}

/** How a checkout's program is started: as this one is, with a Node of its own where it has one. */
function programOf({ packageRoot, program }: MachineOptions, root: string | null): MachineOptions["program"] {
  if (root === null || root === packageRoot) return program;
  const own = path.join(root, "node_modules", "node", "bin", "node");
  const args = program.args.map((argument) =>
    argument.startsWith(`${packageRoot}${path.sep}`)
      ? path.join(root, path.relative(packageRoot, argument))
      : argument,
  );
  return { command: existsSync(own) ? own : program.command, args };
}

/** Where programs of stores are looked for. */
export const searchFolders = ({
  env,
  packageRoot,
}: Pick<MachineOptions, "env" | "packageRoot">): ProgramFolders =>
  programFolders(packageRoot, env["PATH"] ?? "", env["HOME"] ?? null);

function storePrograms(dataDir: string, programs: ProgramFolders): Record<OwnStore, StoreProgram> {
  const paths = deploymentPaths(dataDir);
  const logged = async (id: string): Promise<string> => {
    const file = logFileOf(dataDir, id);
    await rotateLog(file);
    return file;
  };
  return {
    postgres: {
      title: "PostgreSQL",
      start: async (port) =>
        startEmbeddedPostgres({ dir: paths.postgres, port, logFile: await logged("postgres") }),
      end: () => endEmbeddedPostgres(paths.postgres),
    },
    redis: {
      title: "Redis",
      start: async (port) =>
        startRedisServer({ dir: paths.redis, port, programs, logFile: await logged("redis") }),
      end: () => endStore(paths.redis),
    },
  };
}

/** Not our own variables: each instance is given exactly those that are meant for it. */
function inherited(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("OPENCLAW_HA_"),
  );
  return Object.fromEntries(entries);
}
