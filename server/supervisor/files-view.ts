import { findPostmaster } from "../adapters/local/embedded-postgres.ts";
import { findStore } from "../adapters/local/local-store.ts";
import { probeReady } from "../adapters/process/ready-probe.ts";
import type { InstanceRecords } from "../adapters/process/process-control.ts";
import type { InstanceSpec, InstanceView } from "../ports/provisioner.ts";
import { deploymentAddresses } from "./addresses.ts";
import type { Activity } from "./contract.ts";
import type { DeploymentState, Observation } from "./deployment.ts";
import { deploymentPaths, newDeployment, readDeployment } from "./deployment.ts";
import { fileInstanceRecords } from "./instance-records.ts";
import { instanceNames, instanceSpecs } from "./instances.ts";
import { machineProcesses } from "./machine.ts";
import { readSecrets } from "./secrets.ts";
import type { DeploymentSecrets } from "./secrets.ts";
import { accepts, natsAnswers, objectsAnswer, redisAnswers, timed } from "./store-health.ts";
import { deploymentView } from "./view.ts";
import type { DeploymentView, StoreView } from "./view.ts";

const PROBE_TIMEOUT_MS = 1_000;
const POSTGRES_PORT = 5_432;

/** Asks the database at the URL for tenants, queue and work under way; null where it does not answer. */
export type AskDatabase = (
  url: string,
) => Promise<{ readonly observation: Observation; readonly activity: Activity | null } | null>;

/**
 * What can be said of a deployment without its supervisor: from its files, and by looking which of its processes are
 * alive. Changes nothing. With nothing alive the phase is `stopped`, else `degraded`, because nobody watches.
 * Tenants and queue are those of the last look, unless `ask` is given and the database answers.
 * @throws HAError CONFIG_INVALID when the files are damaged or of a newer release
 */
export async function viewFromFiles(
  dataDir: string,
  name: string,
  ask: AskDatabase | null = null,
): Promise<DeploymentView> {
  const state = (await readDeployment(dataDir)) ?? newDeployment(name, "");
  const secrets = await readSecrets(dataDir);
  const specs = secrets === null ? [] : knownSpecs(dataDir, state, secrets);
  const records = state.desired === null ? null : await fileInstanceRecords(deploymentPaths(dataDir).run);
  const instances = await Promise.all(specs.map((spec) => seen(spec, records, state.phase)));
  const stores = secrets === null ? {} : await storesSeen(dataDir, state, secrets);
  const alive = instances.some(({ pid }) => pid !== null) || Object.values(stores).some(({ pid }) => pid);
  const postgres = stores["postgres"];
  const url = secrets?.urls.postgres;
  const asking = ask !== null && postgres?.healthy === true && url !== undefined;
  const answer = asking ? await ask(url) : null;
  const observation = answer?.observation ?? null;
  return deploymentView({
    dataDir,
    state: { ...state, observation: observation ?? state.observation },
    phase: alive ? "degraded" : "stopped",
    supervisorPid: null,
    instances,
    // One that accepts connections and then says nothing is not healthy.
    stores: asking ? { ...stores, postgres: { ...postgres, healthy: observation !== null } } : stores,
    fresh: observation !== null,
    activity: answer?.activity ?? null,
  });
}

function knownSpecs(dataDir: string, state: DeploymentState, secrets: DeploymentSecrets): InstanceSpec[] {
  const addresses = deploymentAddresses(dataDir, state, secrets);
  if (state.desired === null || addresses === null) return [];
  const { desired, ports } = state;
  const known = instanceNames(desired).every(({ id }) => ports[id] !== undefined);
  const specs = known ? instanceSpecs({ desired, addresses, ports, environment: {} }) : [];
  return specs.filter(({ id }) => !state.drained.includes(id));
}

async function seen(
  spec: InstanceSpec,
  records: InstanceRecords | null,
  phase: DeploymentState["phase"],
): Promise<InstanceView> {
  const record = (await records?.read(spec.id)) ?? null;
  const alive = record !== null && machineProcesses.identify(record.pid) === record.identity;
  const known = { id: spec.id, pool: spec.pool, url: spec.url ?? null, restarts: record?.restarts ?? 0 };
  if (!alive) {
    return { ...known, pid: null, state: phase === "stopped" ? "stopped" : "crashed", startedAt: null };
  }
  const ready =
    spec.readyUrl === undefined || (await probeReady(spec.readyUrl, PROBE_TIMEOUT_MS)) === "ready";
  return { ...known, pid: record.pid, state: ready ? "ready" : "starting", startedAt: record.startedAt };
}

async function storesSeen(
  dataDir: string,
  state: DeploymentState,
  secrets: DeploymentSecrets,
): Promise<Record<string, StoreView>> {
  const addresses = deploymentAddresses(dataDir, state, secrets);
  const { desired } = state;
  if (desired === null || addresses === null) return {};
  const paths = deploymentPaths(dataDir);
  const [postmaster, redisProcess, postgres, redis, nats, objects] = await Promise.all([
    desired.postgres.mode === "embedded" ? findPostmaster(paths.postgres) : null,
    desired.redis.mode === "local" ? findStore(paths.redis) : null,
    accepts(addresses.postgresUrl, POSTGRES_PORT),
    timed(redisAnswers(addresses.redisUrl)),
    addresses.natsUrl === null ? null : timed(natsAnswers(addresses.natsUrl)),
    timed(objectsAnswer(addresses.objects)),
  ]);
  const pid = (process: { readonly pid: number } | null) => (process === null ? {} : { pid: process.pid });
  return {
    postgres: { mode: desired.postgres.mode, healthy: postgres, ...pid(postmaster) },
    redis: { mode: desired.redis.mode, ...redis, ...pid(redisProcess) },
    ...(nats === null ? {} : { nats: { mode: desired.nats.mode, ...nats } }),
    objects: { mode: desired.objects.mode, ...objects },
  };
}
