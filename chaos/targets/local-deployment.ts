import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findPostmaster } from "../../server/adapters/local/embedded-postgres.ts";
import { findStore } from "../../server/adapters/local/local-store.ts";
import { isRunning } from "../../server/adapters/local/process-table.ts";
import { postgresPool } from "../../server/adapters/postgres/pool.ts";
import { postgresTenantDirectory } from "../../server/adapters/postgres/tenant-directory.ts";
import { HAError } from "../../server/core/errors.ts";
import { tenantId } from "../../server/core/ids.ts";
import { deploymentAddresses, type DeploymentAddresses } from "../../server/supervisor/addresses.ts";
import { findSupervisor } from "../../server/supervisor/client.ts";
import { deploymentPaths, readDeployment } from "../../server/supervisor/deployment.ts";
import { instanceNames } from "../../server/supervisor/instances.ts";
import { readSecrets } from "../../server/supervisor/secrets.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import { childrenOf } from "./process-tree.ts";
import type { FaultSignal, Subject, TargetHealth } from "./target.ts";

/**
 * A deployment of this machine as its files tell of it: its processes are found, and signalled, without asking its
 * supervisor, which may be stopped or dead.
 */
export interface LocalDeployment {
  readonly dataDir: string;
  readonly addresses: DeploymentAddresses;
  /** Of the demo model server. */
  readonly demoModelUrl: string;
  subjects(): Promise<Subject[]>;
  /** @throws HAError NOT_FOUND when it has no process now */
  signal(id: string, signal: FaultSignal): Promise<void>;
  view(): Promise<DeploymentView>;
  health(): Promise<TargetHealth>;
  /** As `Target.tenant`. */
  tenant(id: string): Promise<{ readonly id: string; readonly token: string }>;
}

/** What a chaos client may do: what the traffic needs and no more. */
const SCOPES = ["operator.admin"];
const TOKEN_LABEL = "chaos";

/** @throws HAError NOT_RUNNING where no deployment was started in that folder */
export async function openLocalDeployment(dataDir: string): Promise<LocalDeployment> {
  const paths = deploymentPaths(dataDir);
  const [state, secrets] = await Promise.all([readDeployment(dataDir), readSecrets(dataDir)]);
  const addresses = state && secrets ? deploymentAddresses(dataDir, state, secrets) : null;
  if (addresses === null) {
    throw new HAError("NOT_RUNNING", `there is no deployment in ${dataDir}`, {
      hint: "start one with `openclaw-ha up`, or name another one with --name or --data-dir",
    });
  }

  const instancePid = async (id: string): Promise<number | null> => {
    try {
      const record = JSON.parse(await readFile(join(paths.run, `${id}.json`), "utf8")) as {
        readonly pid: number;
        readonly identity: string;
      };
      return isRunning(record.pid, record.identity) ? record.pid : null;
    } catch {
      return null; // not started yet, or just being written
    }
  };

  const subjects = async (): Promise<Subject[]> => {
    const now = await readDeployment(dataDir);
    if (now?.desired == null) return [];
    const { desired, supervisor } = now;
    const instances = instanceNames(desired).flatMap(({ id, pool }) =>
      pool === "gateway" || pool === "worker" || pool === "control" ? [{ id, pool }] : [],
    );
    const supervising =
      supervisor !== null && isRunning(supervisor.pid, supervisor.birth) ? supervisor.pid : null;
    return [
      ...(await Promise.all(
        instances.map(async ({ id, pool }) => ({ id, pool, pid: await instancePid(id) })),
      )),
      { id: "supervisor", pool: "supervisor", pid: supervising },
      ...(desired.postgres.mode === "embedded"
        ? [
            {
              id: "postgres",
              pool: "store",
              pid: (await findPostmaster(paths.postgres))?.pid ?? null,
            } as const,
          ]
        : []),
      ...(desired.redis.mode === "local"
        ? [{ id: "redis", pool: "store", pid: (await findStore(paths.redis))?.pid ?? null } as const]
        : []),
    ];
  };

  const view = async (): Promise<DeploymentView> => {
    const supervisor = await findSupervisor(dataDir);
    if (supervisor === null) throw new HAError("NOT_RUNNING", "its supervisor does not run");
    return supervisor.view();
  };

  return {
    dataDir,
    addresses,
    demoModelUrl: new URL(addresses.demoModelUrl).origin,
    subjects,
    view,
    async signal(id, signal) {
      const subject = (await subjects()).find((one) => one.id === id);
      signalProcess(id, subject?.pid ?? null, signal);
    },
    async health() {
      try {
        return healthOf(await view());
      } catch (error) {
        return { healthy: false, reason: error instanceof Error ? error.message : String(error) };
      }
    },
    async tenant(id) {
      const token = randomBytes(32).toString("base64url");
      const pool = postgresPool({
        url: addresses.postgresAdminUrl,
        applicationName: "chaos",
        maxConnections: 1,
        role: null,
      });
      try {
        const directory = postgresTenantDirectory({ pool });
        await directory.addTenant(tenantId(id), "shared");
        await directory.replaceToken(tenantId(id), token, SCOPES, TOKEN_LABEL);
        return { id, token };
      } finally {
        await pool.end();
      }
    },
  };
}

/**
 * Sends a signal. Stopping PostgreSQL stops its backends too: its postmaster alone serves nobody.
 * @throws HAError NOT_FOUND when there is no process to signal
 */
export function signalProcess(id: string, pid: number | null, signal: FaultSignal): void {
  if (pid === null) throw new HAError("NOT_FOUND", `${id} has no process now`, { id });
  // SIGTERM lets PostgreSQL wait for its clients to leave, which a pool never does; SIGINT is its orderly end.
  const sent = id === "postgres" && signal === "SIGTERM" ? "SIGINT" : signal;
  const whole = signal === "SIGSTOP" || signal === "SIGCONT";
  for (const one of [pid, ...(whole ? childrenOf(pid) : [])]) {
    try {
      process.kill(one, sent);
    } catch (error) {
      // A child may have ended meanwhile.
      if (one === pid || (error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Ready, every instance and store: a sick patient proves nothing. */
function healthOf(view: DeploymentView): TargetHealth {
  const sick = [
    ...view.instances.filter(({ state }) => state !== "ready").map(({ id, state }) => `${id} is ${state}`),
    ...Object.entries(view.stores)
      .filter(([, { healthy }]) => !healthy)
      .map(([name]) => `${name} does not answer`),
    ...(view.phase === "ready" ? [] : [`the deployment is ${view.phase}`]),
  ];
  return { healthy: sick.length === 0, reason: sick.length === 0 ? null : sick.join(", ") };
}
