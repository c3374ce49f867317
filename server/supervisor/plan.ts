import { existsSync } from "node:fs";
import { revisionOf } from "../adapters/process/kept-instance.ts";
import type { InstanceSpec } from "../ports/provisioner.ts";
import { deploymentAddresses } from "./addresses.ts";
import type { ApplyRequest, TenantOfPool } from "./contract.ts";
import type { DeploymentState, DesiredTopology } from "./deployment.ts";
import { deploymentPaths, newDeployment, readDeployment } from "./deployment.ts";
import { fileInstanceRecords } from "./instance-records.ts";
import { instanceNames, instanceSpecs } from "./instances.ts";
import type { DeploymentSecrets } from "./secrets.ts";
import { mergeSecrets, newSecrets, readSecrets } from "./secrets.ts";
import { refuseOtherData } from "./supervisor.ts";
import type { DeploymentView } from "./view.ts";
import { storeModes } from "./view.ts";

type Scalar = string | number | boolean | null;

/** What `up` would do, as `up --plan --json` prints it. */
export interface DeploymentPlan {
  readonly name: string;
  readonly topology: string;
  readonly dataDir: string;
  /** False: `up` would change nothing. */
  readonly changes: boolean;
  /** Ids; those that are kept go on as the processes that they are. */
  readonly instances: {
    readonly start: readonly string[];
    readonly stop: readonly string[];
    readonly restart: readonly string[];
    readonly keep: readonly string[];
  };
  readonly stores: readonly {
    readonly store: string;
    readonly mode: string;
    readonly action: "start" | "stop" | "use" | "keep";
  }[];
  /** Those that are added, and those that are asked for in another pool than the one in which they stay. */
  readonly tenants: {
    readonly add: readonly TenantOfPool[];
    readonly elsewhere: readonly (TenantOfPool & { readonly asked: string })[];
    /** The database cannot be asked now: these are answers of an earlier time. */
    readonly stale?: true;
  };
  /** What the deployment keeps of what was asked for, where it becomes different. */
  readonly settings: readonly { readonly setting: string; readonly from: Scalar; readonly to: Scalar }[];
}

/**
 * What `up` with this request would do to the deployment as `view` shows it. Reads files and changes nothing.
 * @throws HAError CONFIG_INVALID for a change that `up` refuses, and for files that are damaged or of a newer release
 */
export async function planChange(
  dataDir: string,
  request: ApplyRequest,
  view: DeploymentView,
): Promise<DeploymentPlan> {
  const { desired } = request;
  const state = (await readDeployment(dataDir)) ?? newDeployment(view.name, "");
  refuseOtherData(state.desired, desired);
  const kept = (await readSecrets(dataDir)) ?? newSecrets();
  const secrets = mergeSecrets(kept, request.secrets);
  const specs = plannedSpecs(dataDir, { ...state, desired }, withOwnStores(secrets, state.desired, desired));
  const instances = await instanceChanges(dataDir, desired, specs, view);
  const stores = storeChanges(state.desired, desired, view);
  const tenants = tenantChanges(request.tenants ?? [], view);
  const settings = [...settingChanges(state.desired, desired), ...secretChanges(kept, secrets)];
  const changes =
    view.phase === "stopped" ||
    [instances.start, instances.stop, instances.restart, tenants.add, settings].some(
      (list) => list.length > 0,
    ) ||
    stores.some(({ action }) => action !== "keep");
  const { name } = view;
  return { name, topology: desired.topology, dataDir, changes, instances, stores, tenants, settings };
}

/** Null while the stores have no addresses: then nothing runs that could be kept. */
function plannedSpecs(
  dataDir: string,
  state: DeploymentState & { readonly desired: DesiredTopology },
  secrets: DeploymentSecrets,
): InstanceSpec[] | null {
  const addresses = deploymentAddresses(dataDir, state, secrets);
  if (addresses === null) return null;
  const { desired, ports } = state;
  return instanceSpecs({ desired, addresses, ports, environment: secrets.environment });
}

/** A store that becomes ours gets an address that nobody knows yet; it is another one than now, that is all that counts. */
function withOwnStores(
  secrets: DeploymentSecrets,
  before: DesiredTopology | null,
  next: DesiredTopology,
): DeploymentSecrets {
  const ownRedis = next.redis.mode === "local" && before?.redis.mode === "external";
  return ownRedis ? { ...secrets, urls: { ...secrets.urls, redis: "redis://new" } } : secrets;
}

async function instanceChanges(
  dataDir: string,
  desired: DesiredTopology,
  specs: readonly InstanceSpec[] | null,
  view: DeploymentView,
): Promise<DeploymentPlan["instances"]> {
  const seen = [...view.instances, ...(view.demoModel === null ? [] : [view.demoModel])];
  const running = new Set(seen.flatMap(({ id, pid }) => (pid === null ? [] : [id])));
  const wanted = instanceNames(desired).map(({ id }) => id);
  const { run } = deploymentPaths(dataDir);
  const records = existsSync(run) ? await fileInstanceRecords(run) : null;
  const isKept = async (id: string): Promise<boolean> => {
    const spec = specs?.find((planned) => planned.id === id);
    return spec !== undefined && (await records?.read(id))?.revision === revisionOf(spec);
  };
  const changes = {
    start: [] as string[],
    stop: [] as string[],
    restart: [] as string[],
    keep: [] as string[],
  };
  for (const id of wanted) {
    if (!running.has(id)) changes.start.push(id);
    else changes[(await isKept(id)) ? "keep" : "restart"].push(id);
  }
  changes.stop.push(...[...running].filter((id) => !wanted.includes(id)));
  return changes;
}

function storeChanges(
  before: DesiredTopology | null,
  desired: DesiredTopology,
  view: DeploymentView,
): DeploymentPlan["stores"] {
  const modes = storeModes(desired);
  const known = before === null ? {} : storeModes(before);
  const OWN = ["embedded", "local"];
  const planned = Object.entries(modes).map(([store, mode]) => {
    const started = OWN.includes(mode);
    const runs = view.stores[store]?.pid !== undefined;
    const same = known[store] === mode && (!started || runs) && (started || view.phase !== "stopped");
    return {
      store,
      mode,
      action: same ? ("keep" as const) : started ? ("start" as const) : ("use" as const),
    };
  });
  const ended = Object.entries(known)
    .filter(
      ([store, mode]) => OWN.includes(mode) && modes[store] !== mode && view.stores[store]?.pid !== undefined,
    )
    .map(([store, mode]) => ({ store, mode, action: "stop" as const }));
  return [...planned, ...ended];
}

function tenantChanges(asked: readonly TenantOfPool[], view: DeploymentView): DeploymentPlan["tenants"] {
  const pools = new Map(view.tenants.map(({ id, pool }) => [id, pool]));
  return {
    add: asked.filter(({ id }) => !pools.has(id)),
    elsewhere: asked.flatMap(({ id, pool }) => {
      const now = pools.get(id);
      return now === undefined || now === pool ? [] : [{ id, pool: now, asked: pool }];
    }),
    ...(asked.length > 0 && view.queue.stale === true && view.instances.length > 0 ? { stale: true } : {}),
  };
}

function settingChanges(
  before: DesiredTopology | null,
  desired: DesiredTopology,
): DeploymentPlan["settings"] {
  if (before === null) return [];
  const from = flat(before);
  const to = flat(desired);
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names
    .sort()
    .filter((name) => from[name] !== to[name])
    .map((setting) => ({ setting, from: from[setting] ?? null, to: to[setting] ?? null }));
}

/** Which of the secrets become others; what they are is nobody's business. */
function secretChanges(kept: DeploymentSecrets, next: DeploymentSecrets): DeploymentPlan["settings"] {
  const of = ({ environment, gatewayToken, urls }: DeploymentSecrets): Record<string, Scalar> =>
    flat({ gatewayToken, urls, environment });
  const [from, to] = [of(kept), of(next)];
  // Without addresses nothing was ever started, and everything is new.
  if (Object.keys(kept.urls).length === 0) return [];
  return [...new Set([...Object.keys(from), ...Object.keys(to)])]
    .filter((name) => from[name] !== to[name])
    .map((setting) => ({ setting, from: "(secret)", to: "(another)" }));
}

/** `{ scaling: { worker: { max: 8 } } }` as `{ "scaling.worker.max": 8 }`. */
function flat(value: object, at = ""): Record<string, Scalar> {
  const entries = Object.entries(value).map(
    ([key, inner]: [string, object | Scalar]): Record<string, Scalar> => {
      const name = at === "" ? key : `${at}.${key}`;
      return typeof inner === "object" && inner !== null ? flat(inner, name) : { [name]: inner };
    },
  );
  return Object.assign({}, ...entries) as Record<string, Scalar>;
}
