import type { RunRecord } from "../core/run.ts";
import { type InstanceLoad, SCALED_POOLS, type ScaledPool, type ScalingPolicy } from "../core/scaling.ts";
import type { LaneBacklog } from "../ports/run-ledger.ts";
import type { InstanceView, PoolName } from "../ports/provisioner.ts";
import type { DeploymentState, DesiredTopology, Observation } from "./deployment.ts";
import { LOOPBACK } from "./addresses.ts";
import type { Activity } from "./contract.ts";
import { instanceNames, sizedPoolOf } from "./instances.ts";
import { decidedTopology, sizeOf } from "./scaling.ts";

export interface StoreView {
  readonly mode: string;
  readonly healthy: boolean;
  /** Only where we started it and it runs. */
  readonly pid?: number;
  readonly restarts?: number;
  /** How long it took to answer just now, where it did. */
  readonly latencyMs?: number;
  /** How far its slowest standby is behind, where there is one that can be seen. */
  readonly lagMs?: number;
}

/** A deployment as `up --json` and `status --json` print it: names and shapes are a contract. */
export interface DeploymentView {
  readonly name: string;
  readonly topology: string;
  readonly phase: DeploymentState["phase"];
  readonly dataDir: string;
  /** Null before the first start. */
  readonly gateway: {
    readonly url: string;
    readonly httpUrl: string;
    /** Null where no Control UI was found. */
    readonly controlUiUrl: string | null;
  } | null;
  readonly supervisor: { readonly pid: number | null };
  /** What instances run from; absent before the first start. */
  readonly program?: { readonly root: string; readonly version: string };
  /** The upgrade under way, or one that was cut and that the next `up` or `upgrade` ends. */
  readonly upgrade?: { readonly from: string; readonly startedAt: string };
  readonly instances: readonly InstanceView[];
  readonly stores: Readonly<Record<string, StoreView>>;
  /** The demo model server; null where it does not run. */
  readonly demoModel: InstanceView | null;
  readonly tenants: readonly { readonly id: string; readonly pool: string; readonly disabled?: true }[];
  /** As Postgres told it; `stale` where it cannot be asked now, with the time of the last answer. */
  readonly queue: {
    readonly ready: number;
    readonly running: number;
    readonly oldestReadyMs: number;
    readonly stale?: true;
    readonly observedAt?: string;
  };
  /** Absent before the first start. */
  readonly scaling?: ScalingView;
  /** What is being done at this moment; absent where the database does not answer. */
  readonly activity?: ActivityView;
  /** Why the last `up` failed. */
  readonly failure?: NonNullable<DeploymentState["failure"]>;
}

/** Work at one moment; lists end where a screen or a report would. Times are ISO 8601. */
export interface ActivityView {
  /** Of gateways and workers that have reported in the last seconds. */
  readonly loads: readonly InstanceLoad[];
  /** By tenant and lane, the longest wait first. */
  readonly lanes: readonly LaneBacklog[];
  /** Runs under way, the longest first. */
  readonly running: readonly RunningView[];
  /** Runs that have failed, timed out or died, the last one first. */
  readonly failures: readonly FailureView[];
}

export interface RunningView extends Pick<
  RunRecord,
  "tenant" | "runId" | "sessionKey" | "agentId" | "lane" | "attempt" | "worker"
> {
  readonly startedAt: string;
  /** Steps so far, answers of the model among them. */
  readonly steps: number;
  /** The tool that it waits for; null while the model is asked. */
  readonly tool: string | null;
}

export interface FailureView extends Pick<
  RunRecord,
  "tenant" | "runId" | "sessionKey" | "status" | "attempt" | "error"
> {
  readonly endedAt: string;
}

/** How a pool is sized. */
export interface PoolScalingView extends ScalingPolicy {
  /** Instances that are ready. */
  readonly current: number;
  readonly desired: number;
}

export interface ScalingView {
  /** True when the size of any pool is automatic. */
  readonly auto: boolean;
  readonly pools: Readonly<Record<ScaledPool, PoolScalingView>>;
  /** The newest changes of size, newest first. */
  readonly decisions: readonly {
    readonly pool: ScaledPool;
    readonly from: number;
    readonly to: number;
    readonly reason: string;
    readonly by: string;
    readonly at: string;
  }[];
}

export interface ViewParts {
  readonly dataDir: string;
  readonly state: DeploymentState;
  readonly phase: DeploymentState["phase"];
  readonly supervisorPid: number | null;
  /** All instances, the demo model among them. */
  readonly instances: readonly InstanceView[];
  readonly stores: Readonly<Record<string, StoreView>>;
  /** False: `state.observation` is all that is known. */
  readonly fresh: boolean;
  readonly activity: Activity | null;
}

const gatewayAddresses = (port: number, controlUi: boolean): NonNullable<DeploymentView["gateway"]> => ({
  url: `ws://${LOOPBACK}:${port}`,
  httpUrl: `http://${LOOPBACK}:${port}`,
  controlUiUrl: controlUi ? `http://${LOOPBACK}:${port}/` : null,
});

/** Puts the parts together; knows nothing of processes or files. */
export function deploymentView(parts: ViewParts): DeploymentView {
  const { state } = parts;
  const port = state.ports["public"];
  return {
    name: state.name,
    topology: state.desired?.topology ?? "v2",
    phase: parts.phase,
    dataDir: parts.dataDir,
    gateway: port === undefined ? null : gatewayAddresses(port, (state.desired?.controlUi ?? null) !== null),
    supervisor: { pid: parts.supervisorPid },
    ...programView(state),
    instances: [...parts.instances, ...drainedViews(parts)]
      .filter(({ pool }) => pool !== "model")
      .sort(inOrder),
    stores: storesWith(parts),
    demoModel: parts.instances.find(({ pool }) => pool === "model") ?? null,
    tenants: state.observation?.tenants ?? [],
    queue: queueView(state.observation, parts.fresh),
    ...(state.desired === null ? {} : { scaling: scalingView(state.desired, parts) }),
    ...(parts.activity === null ? {} : { activity: activityView(parts.activity) }),
    ...(state.failure === null ? {} : { failure: state.failure }),
  };
}

function programView({ program, upgrade }: DeploymentState): Pick<DeploymentView, "program" | "upgrade"> {
  return {
    ...(program === null ? {} : { program: { root: program.root, version: program.version } }),
    ...(upgrade === null ? {} : { upgrade: { from: upgrade.from.version, startedAt: upgrade.startedAt } }),
  };
}

/** PostgreSQL's own times come with its answer. */
function storesWith({ activity, stores }: ViewParts): Readonly<Record<string, StoreView>> {
  const { postgres } = stores;
  if (activity === null || postgres === undefined) return stores;
  const { lagMs, latencyMs } = activity;
  return { ...stores, postgres: { ...postgres, latencyMs, ...(lagMs === null ? {} : { lagMs }) } };
}

const activityView = ({ failures, lanes, loads, running }: Activity): ActivityView => ({
  loads,
  lanes,
  running: running.map(({ run, step, steps }) => ({
    ...pick(run, ["tenant", "runId", "sessionKey", "agentId", "lane", "attempt", "worker"]),
    startedAt: new Date(run.startedAt ?? run.acceptedAt).toISOString(),
    steps,
    tool: step?.toolName ?? null,
  })),
  failures: failures.map((run) => ({
    ...pick(run, ["tenant", "runId", "sessionKey", "status", "attempt", "error"]),
    endedAt: new Date(run.endedAt ?? run.acceptedAt).toISOString(),
  })),
});

const pick = <T extends object, Key extends keyof T>(from: T, keys: readonly Key[]): Pick<T, Key> =>
  Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, Key>;

/** Those that an operator has drained run nowhere, and yet are part of the deployment. */
function drainedViews({ instances, state }: ViewParts): InstanceView[] {
  const shown = new Set(instances.map(({ id }) => id));
  const away = state.desired === null ? [] : instanceNames(state.desired);
  return away
    .filter(({ id }) => state.drained.includes(id) && !shown.has(id))
    .map(({ id, pool }) => ({
      id,
      pool,
      pid: null,
      url: null,
      state: "stopped",
      startedAt: null,
      restarts: 0,
    }));
}

function scalingView(desired: DesiredTopology, { instances, state }: ViewParts): ScalingView {
  const sizes = state.observation?.sizes ?? [];
  const poolView = (pool: ScaledPool): PoolScalingView => ({
    current: instances.filter(({ id, state: is }) => sizedPoolOf(id) === pool && is === "ready").length,
    desired: sizeOf(decidedTopology(desired, sizes), pool),
    ...desired.scaling[pool],
  });
  return {
    auto: SCALED_POOLS.some((pool) => desired.scaling[pool].auto),
    pools: { gateway: poolView("gateway"), worker: poolView("worker") },
    decisions: sizes
      .flatMap(({ decisions }) => decisions)
      .sort((a, b) => b.at - a.at)
      .map((decision) => ({ ...decision, at: new Date(decision.at).toISOString() })),
  };
}

/** Pools as a message meets them, members by their number. */
const POOLS: readonly PoolName[] = ["router", "gateway", "worker", "pod", "control", "model"];
const inOrder = (a: InstanceView, b: InstanceView): number =>
  POOLS.indexOf(a.pool) - POOLS.indexOf(b.pool) || a.id.localeCompare(b.id, "en", { numeric: true });

function queueView(observation: Observation | null, fresh: boolean): DeploymentView["queue"] {
  if (observation === null) return { ready: 0, running: 0, oldestReadyMs: 0, stale: true };
  return fresh ? observation.queue : { ...observation.queue, stale: true, observedAt: observation.at };
}

/** Modes of the stores, as `status` names them. */
export const storeModes = (desired: DesiredTopology): Record<string, string> => ({
  postgres: desired.postgres.mode,
  redis: desired.redis.mode,
  ...(desired.nats.mode === "external" ? { nats: desired.nats.mode } : {}),
  objects: desired.objects.mode,
});
