/** Pools of processes of a deployment. `model` is the demo model server, which no user addresses as an instance. */
export type PoolName = "gateway" | "worker" | "control" | "router" | "pod" | "model";

/** One instance as it should be. */
export interface InstanceSpec {
  /** Stable over restarts: `gateway-1`. */
  readonly id: string;
  readonly pool: PoolName;
  /** Arguments after the program's own: `["serve", "gateway"]`. Never a secret. */
  readonly args: readonly string[];
  /** The checkout that it runs from, and which upgrade brought it there; absent: the provisioner's own. */
  readonly program?: { readonly root: string; readonly revision: string };
  /** Environment of the instance; may hold secrets, is never logged. */
  readonly env: Readonly<Record<string, string>>;
  /** Its own address, kept over restarts; absent for instances that do not listen. */
  readonly url?: string;
  /** Answers 200 when the instance is ready. Absent: ready when running. */
  readonly readyUrl?: string;
}

export type InstanceState = "starting" | "ready" | "draining" | "stopped" | "crashed";

export interface InstanceView {
  readonly id: string;
  readonly pool: PoolName;
  readonly pid: number | null;
  readonly url: string | null;
  readonly state: InstanceState;
  readonly startedAt: string | null;
  readonly restarts: number;
}

/**
 * Starts, watches and stops instances.
 * `apply` makes the world as the specs say: what is missing is started, what changed is replaced, what is too much
 * is drained and stopped. Applying the same specs twice changes nothing. What dies is started again with back-off,
 * under its id and address. Instances outlive the process that called `apply`; a later one adopts them.
 */
export interface Provisioner {
  apply(specs: readonly InstanceSpec[]): Promise<void>;
  list(): Promise<InstanceView[]>;
  /** Sends SIGTERM, waits for `graceMs`, then SIGKILL; the instance is not started again until the next apply. */
  stop(id: string, graceMs: number): Promise<void>;
  /** Stops watching; instances go on. */
  detach(): Promise<void>;
}
