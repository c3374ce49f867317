import type { Clock } from "../../server/ports/clock.ts";
import type { ObjectStore } from "../../server/ports/object-store.ts";

/** A process that a fault can be done to: an instance of a pool, a store, or the supervisor. */
export interface Subject {
  /** `gateway-1`, `worker-2`, `control-1`, `supervisor`, `postgres`, `redis`, `nats`, `s3`. */
  readonly id: string;
  readonly pool: "gateway" | "worker" | "control" | "supervisor" | "store";
  /** Null while it is down, or where it cannot be seen. */
  readonly pid: number | null;
}

/** Signals that faults use; STOP and CONT are pairs. */
export type FaultSignal = "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT";

/** Connections that pass now, and counts since the link was made. */
export interface LinkStats {
  readonly connections: number;
  readonly bytes: number;
  /** Bytes that a fault has delayed or held back. */
  readonly held: number;
  /** Connections that a fault has reset. */
  readonly resets: number;
  /** Closes that a fault has delayed. */
  readonly slowCloses: number;
}

/** A link on which a target can make the network fail; null where it cannot. */
export interface Link {
  /** `gateway-1`, `postgres`, `redis`, `s3`: what lies behind it. */
  readonly id: string;
  /** Connections that pass now, and bytes so far: the evidence that a fault met traffic. */
  stats(): LinkStats;
  /** Both ways, milliseconds; jitter is added uniformly. */
  latency(ms: number, jitterMs: number): void;
  /** Bytes a second, both ways; null is unlimited. */
  rate(bytesPerSecond: number | null): void;
  /** Nothing passes in that direction; connections stay open. */
  blackHole(direction: "both" | "requests" | "answers"): void;
  /** Resets all open connections. */
  reset(): void;
  /** From now on closes arrive only after so long: half-open sockets. */
  slowClose(ms: number): void;
  /** Takes everything back. */
  heal(): void;
}

/** What a target can do to a deployment beyond signals; a fault that needs more is skipped with the reason. */
export type Capability =
  | "signal"
  | "supervisor"
  | "stores"
  | "network"
  | "disk-full"
  | "clock-skew"
  | "cpu"
  | "memory"
  | "rolling-restart";

export interface TargetHealth {
  readonly healthy: boolean;
  /** Why not, for people. */
  readonly reason: string | null;
}

/** A deployment that chaos may break. Adapters: process (the supervisor's instances), docker, attach. */
export interface Target {
  readonly kind: "process" | "docker" | "attach";
  readonly capabilities: ReadonlySet<Capability>;
  /** Gateways as clients reach them (through their links where the network can fail): id and URL. */
  gateways(): Promise<readonly { readonly id: string; readonly url: string }[]>;
  /** A tenant with a token of its own; made when it is not there. */
  tenant(id: string): Promise<{ readonly id: string; readonly token: string }>;
  /** Address of the database as its owner, of the demo model, and of Redis: to look, never to change. */
  readonly stores: { readonly databaseUrl: string; readonly demoModelUrl: string; readonly redisUrl: string };
  /** Reads sealed transcript segments back; null where the object store cannot be reached from here. */
  readonly objects: Pick<ObjectStore, "get"> | null;
  /** Folders that must not hold another tenant's bytes: objects by tenant prefix, logs. Null where not reachable. */
  readonly folders: { readonly objects: string | null; readonly logs: string | null };
  subjects(): Promise<readonly Subject[]>;
  /** Sends it and resolves when it was sent. Evidence is for the fault to gather. */
  signal(id: string, signal: FaultSignal): Promise<void>;
  link(id: string): Link | null;
  /** Takes every byte that is left on the stores' disk, and gives it back. Absent without capability `disk-full`. */
  readonly disk?: {
    /** Resolves to what was seen of it: `no space left after 143 MB`. @throws Error when there is room afterwards */
    fill(): Promise<string>;
    free(): Promise<void>;
  };
  /** Starts a supervisor again that was ended; everything that it watched has gone on meanwhile. */
  readonly restartSupervisor?: () => Promise<void>;
  /**
   * Sets the wall clock of one instance ahead (behind, when negative) of the machine's; 0 puts it right. Resolves to
   * what the instance itself has told of its clock. Absent without capability `clock-skew`.
   */
  readonly skew?: (id: string, byMs: number) => Promise<string>;
  health(): Promise<TargetHealth>;
  /** Everything is up again and ready. @throws Error naming what is not, after the timeout */
  ready(timeoutMs: number): Promise<void>;
  /** Removes all that this target made; with attach the deployment stays as it was. */
  close(): Promise<void>;
}

export interface TargetOptions {
  readonly gateways: number;
  readonly workers: number;
  /** `embedded`: the supervisor runs them. `proxied`: each store and gateway behind a link of its own. */
  readonly wiring: "embedded" | "proxied";
  readonly bus: "redis" | "nats";
  readonly objects: "directory" | "s3";
  readonly clock: Clock;
  /** Root of the checkout whose program is run: another one for planted bugs. */
  readonly projectRoot: string;
  /** What the scenario will need: some of it has to be prepared before anything starts. */
  readonly needs: ReadonlySet<Capability>;
  /** Added to the environment of every process of the deployment: what switches a planted bug on. */
  readonly env: Readonly<Record<string, string>>;
  readonly progress: (text: string) => void;
}
