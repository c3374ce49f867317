import type * as Testcontainers from "testcontainers";
import type { StartedTestContainer, WaitStrategy } from "testcontainers";
import { HAError } from "../core/errors.ts";
import type { Docker } from "./docker.ts";
import { ownerLabels, type Owner } from "./ownership.ts";

export interface ContainerSpec {
  readonly image: string;
  readonly owner: Owner;
  /** What the container is for, in `docker ps`: `openclaw-ha-RUN-NAME`. */
  readonly name: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Files that are there before it starts, readable by every user of the container. */
  readonly files?: readonly { readonly path: string; readonly content: string }[];
  /** Port of the container, and the port of 127.0.0.1 on which this machine reaches it, also after a restart. */
  readonly publish?: { readonly port: number; readonly on: number };
  /** A network by name; the container is reached there by its `name`. */
  readonly network?: string;
  /** Volumes by name, and where they are mounted. */
  readonly volumes?: Readonly<Record<string, string>>;
  /** Folders in memory, with mount options: `size=8m`. */
  readonly tmpfs?: Readonly<Record<string, string>>;
  /** Bytes of memory, swap included; a process that takes more is killed. */
  readonly memoryBytes?: number;
  /** Share of the machine: 0.5 is half a core. */
  readonly cpus?: number;
  /** When it counts as started, from the library `testcontainers`. */
  readonly ready: (wait: typeof Testcontainers.Wait) => WaitStrategy;
  /** Default 60 s. */
  readonly startTimeoutMs?: number;
}

/** A container of one owner. It is gone with its run (ownership.ts) at the latest. */
export interface Container {
  readonly id: string;
  readonly name: string;
  /** Of its first process as this machine sees it; 0 while it does not run. */
  pid(): Promise<number>;
  isRunning(): Promise<boolean>;
  /** Sends a signal to its first process. Does nothing where it does not run. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Resolves once it does not run any more, to its exit code: 137 after SIGKILL. */
  exited(): Promise<number>;
  /** Starts it again with its data and its addresses; resolves when it runs, ready or not. */
  start(): Promise<void>;
  /** As `start`, and waits until it is ready. It is gone where it does not get ready. */
  startReady(): Promise<void>;
  /** All its processes stand still (no signal could tell them), or go on. */
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Removes it and the volumes that are its alone. */
  remove(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;

/**
 * Starts a container through testcontainers and waits until it is ready. Only engines of this machine are meant: ports
 * are published on 127.0.0.1, where nobody else reaches them.
 * @throws HAError MISSING_DEPENDENCY where the library is not installed
 */
export async function startContainer(docker: Docker, spec: ContainerSpec): Promise<Container> {
  const { GenericContainer, Wait } = await testcontainers();
  const { publish } = spec;

  class OwnContainer extends GenericContainer {
    /** What the library has no words for, and what it would do with a container of its own (Ryuk). */
    configured(): this {
      this.withAutoCleanup(false);
      this.hostConfig.Memory = spec.memoryBytes;
      this.hostConfig.MemorySwap = spec.memoryBytes;
      this.hostConfig.NanoCpus = spec.cpus === undefined ? undefined : Math.round(spec.cpus * 1e9);
      this.hostConfig.Binds = Object.entries(spec.volumes ?? {}).map(([volume, path]) => `${volume}:${path}`);
      if (publish !== undefined) {
        this.withExposedPorts(publish.port);
        this.hostConfig.PortBindings = {
          [`${publish.port}/tcp`]: [{ HostIp: "127.0.0.1", HostPort: String(publish.on) }],
        };
      }
      return this;
    }
  }

  const name = `openclaw-ha-${spec.owner.run}-${spec.name}`;
  const container = new OwnContainer(spec.image)
    .configured()
    .withName(name)
    .withLabels({ ...ownerLabels(spec.owner) })
    .withEnvironment({ ...spec.environment })
    .withTmpFs({ ...spec.tmpfs })
    .withWaitStrategy(spec.ready(Wait))
    .withStartupTimeout(spec.startTimeoutMs ?? START_TIMEOUT_MS)
    .withCopyContentToContainer(
      (spec.files ?? []).map(({ content, path }) => ({ content, target: path, mode: 0o644 })),
    );
  if (spec.command !== undefined) container.withCommand([...spec.command]);
  if (spec.network !== undefined) container.withNetworkMode(spec.network).withNetworkAliases(spec.name);
  let started: StartedTestContainer;
  try {
    started = await container.start();
  } catch (error) {
    const log = await docker.run(["logs", "--tail", "20", name]).catch(() => "");
    await docker.run(["rm", "--force", "--volumes", name]).catch(() => {});
    throw new HAError(
      "INTERNAL",
      `container ${name} does not start: ${(error as Error).message}`,
      { container: name, log },
      { cause: error },
    );
  }
  return containerOf(started, name);
}

async function containerOf(started: StartedTestContainer, name: string): Promise<Container> {
  const { getContainerRuntimeClient } = await testcontainers();
  const handle = (await getContainerRuntimeClient()).container.getById(started.getId());
  const isRunning = async (): Promise<boolean> => (await handle.inspect()).State.Running;
  return {
    id: handle.id,
    name,
    isRunning,
    pid: async () => (await handle.inspect()).State.Pid,
    async signal(signal) {
      try {
        await handle.kill({ signal });
      } catch (error) {
        if (await isRunning()) throw error;
      }
    },
    async exited() {
      const { StatusCode } = (await handle.wait()) as { readonly StatusCode: number };
      return StatusCode;
    },
    start: async () => void (await handle.start()),
    startReady: () => started.restart(),
    pause: async () => void (await handle.pause()),
    unpause: async () => void (await handle.unpause()),
    remove: async () => void (await handle.remove({ force: true, v: true })),
  };
}

/** Loaded when it is needed: it is installed with the development packages, and takes half a second. */
async function testcontainers(): Promise<typeof Testcontainers> {
  try {
    return await import("testcontainers");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new HAError(
      "MISSING_DEPENDENCY",
      "containers are started by the package testcontainers, which is not installed",
      { hint: "install the development packages too: npm install --include=dev" },
      { cause: error },
    );
  }
}
