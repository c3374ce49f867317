import { totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { keepAlive, type ProcessExit } from "../../../server/adapters/process/keep-alive.ts";
import type { Container } from "../../../server/containers/container.ts";
import type { Docker } from "../../../server/containers/docker.ts";
import type { Clock } from "../../../server/ports/clock.ts";
import { blackHole, type Direction, letThrough } from "./network-namespace.ts";

export type PartPool = "gateway" | "worker" | "control" | "store" | "model";

/** One container of the deployment. It is started again when it ends, after a back-off, as the supervisor does it. */
export interface Part {
  /** `gateway-1`, `worker-2`, `control-1`, `postgres`, `redis`, `nats`, `s3`, `demo-model`. */
  readonly id: string;
  readonly pool: PartPool;
  /** As this machine sees its first process; null while it does not run. */
  pid(): Promise<number | null>;
  /** How often it was started again. */
  restarts(): number;
  /** What it exited with, in order: 137 after SIGKILL, 0 after a drain. */
  exits(): readonly number[];
  /** To its first process, SIGSTOP and SIGCONT to all of them; resolves when it was sent. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** SIGTERM, after the grace SIGKILL; it stays down until `start`. Resolves when it is down. */
  stop(graceMs: number): Promise<void>;
  /** Lets it start again, once the back-off of its last end is over. */
  start(): Promise<void>;
  /** All its processes stand still: connections stay open, nothing answers. */
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Pulls its cable: it keeps no address and reaches nobody, nor does anybody reach it. */
  disconnect(): Promise<void>;
  connect(): Promise<void>;
  /** Packets of that direction vanish; connections stay open. `requests` come to it, `answers` come from it. */
  blackHole(direction: Direction): Promise<void>;
  /** Takes `blackHole` back; a restart does it too. */
  letThrough(): Promise<void>;
  /**
   * Bytes of memory, beyond which its processes are killed; null is unlimited.
   * @throws HAError INTERNAL where it uses more already and the kernel refuses that (cgroup v1): `stop` it first
   */
  limitMemory(bytes: number | null): Promise<void>;
  /** Share of the machine, 0.1 is a tenth of a core; null is unlimited. */
  limitCpu(cpus: number | null): Promise<void>;
}

export interface KeptPart extends Part {
  readonly container: Container;
  /** Ends the keeping; the container goes on until it is removed. */
  letGo(): Promise<void>;
}

export interface PartOptions {
  readonly id: string;
  readonly pool: PartPool;
  /** Started and ready. */
  readonly container: Container;
  readonly docker: Docker;
  readonly network: string;
  readonly clock: Clock;
}

const CPU_PERIOD_US = 100_000;
const LET_GO_MS = 10_000;

export function keepPart({ clock, container, docker, id, network, pool }: PartOptions): KeptPart {
  const ending = new AbortController();
  const exits: number[] = [];
  let starts = 0;
  /** While somebody wants it down. */
  let held: PromiseWithResolvers<void> | null = null;

  const keeping = keepAlive({
    clock,
    signal: ending.signal,
    async start() {
      await held?.promise;
      ending.signal.throwIfAborted();
      if (starts > 0) await container.start();
      starts++;
      return { exited: container.exited().then((code): ProcessExit => ({ code, signal: null })) };
    },
    onStarted() {},
    onEnded({ exit }) {
      if (exit?.code != null) exits.push(exit.code);
    },
  });

  return {
    id,
    pool,
    container,
    pid: async () => (await container.pid()) || null,
    restarts: () => Math.max(0, starts - 1),
    exits: () => exits,
    async signal(signal) {
      if (signal !== "SIGSTOP" && signal !== "SIGCONT") return container.signal(signal);
      // A stopped postmaster alone would stop nobody: its backends serve on. Fails where the image has no shell, and
      // so only one process.
      const others = docker.run([
        "exec",
        "--user",
        "0",
        container.id,
        "sh",
        "-c",
        `kill -${signal.slice(3)} -1`,
      ]);
      await Promise.all([container.signal(signal), others.catch(() => {})]);
    },
    async stop(graceMs) {
      held ??= Promise.withResolvers();
      const exited = container.exited();
      await container.signal("SIGTERM");
      const down = await Promise.race([exited.then(() => true), sleep(graceMs, false)]);
      if (!down) await container.signal("SIGKILL");
      await exited;
    },
    async start() {
      held?.resolve();
      held = null;
    },
    pause: () => container.pause(),
    unpause: () => container.unpause(),
    async disconnect() {
      await docker.run(["network", "disconnect", "--force", network, container.id]);
    },
    async connect() {
      await docker.run(["network", "connect", "--alias", id, network, container.id]);
    },
    blackHole: async (direction) => blackHole(await container.pid(), direction),
    letThrough: async () => letThrough(await container.pid()),
    async limitMemory(bytes) {
      // The engine has no word for "unlimited again".
      const limit = String(bytes ?? totalmem());
      await docker.run(["update", "--memory", limit, "--memory-swap", limit, container.id]);
    },
    async limitCpu(cpus) {
      const quota = cpus === null ? -1 : Math.round(cpus * CPU_PERIOD_US);
      const period = ["--cpu-period", String(CPU_PERIOD_US), "--cpu-quota", String(quota)];
      await docker.run(["update", ...period, container.id]);
    },
    async letGo() {
      ending.abort();
      held?.resolve();
      await Promise.race([keeping, sleep(LET_GO_MS)]);
    },
  };
}
