import type { LocalStore } from "../adapters/local/local-store.ts";
import { asHAError, HAError, isHAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { DesiredTopology } from "./deployment.ts";
import { keepStore } from "./kept-store.ts";
import type { KeptStore } from "./kept-store.ts";
import type { PortAllocator } from "./ports.ts";

/** Stores that a deployment may run by itself. */
export type OwnStore = "postgres" | "redis";

const OWN_STORES: readonly OwnStore[] = ["postgres", "redis"];

const isOwn = ({ postgres, redis }: DesiredTopology, store: OwnStore): boolean =>
  store === "postgres" ? postgres.mode === "embedded" : redis.mode === "local";

/** One kind of store of this machine. */
export interface StoreProgram {
  /** What `up` says while it starts. */
  readonly title: string;
  /** Starts the store of this deployment on the port, or adopts it. */
  start(port: number): Promise<LocalStore>;
  /** Ends it, whoever started it; false when it does not run. */
  end(): Promise<boolean>;
}

export interface StoreSetOptions {
  readonly programs: Readonly<Record<OwnStore, StoreProgram>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The stores that a deployment runs by itself. */
export interface StoreSet {
  /**
   * Makes the stores run that the topology wants us to run. Resolves with what could not be started: such a store is
   * tried again in the background when `insist` is set, and left alone otherwise.
   */
  ensure(
    desired: DesiredTopology,
    ports: PortAllocator,
    insist: boolean,
    progress: (text: string) => void,
  ): Promise<HAError[]>;
  /** Ends those that the topology has no use for. */
  retire(desired: DesiredTopology, progress: (text: string) => void): Promise<void>;
  current(store: OwnStore): LocalStore | null;
  restarts(store: OwnStore): number;
  /** Ends all: the queue first, the record last. Also stores that were started by an earlier supervisor. */
  stop(progress: (text: string) => void): Promise<void>;
  detach(): Promise<void>;
}

/** Ports tried before giving up, when others were faster. */
const PORT_TRIES = 3;

export function storeSet(options: StoreSetOptions): StoreSet {
  const { programs } = options;
  const kept = new Map<OwnStore, KeptStore>();

  const keep = (name: OwnStore, port: number, first: LocalStore | null): void => {
    const store = keepStore({ ...options, name, start: () => programs[name].start(port) }, first);
    kept.set(name, store);
  };

  async function start(name: OwnStore, ports: PortAllocator, insist: boolean): Promise<HAError | null> {
    let port = await ports.forName(name);
    for (let tries = 1; ; tries++) {
      try {
        keep(name, port, await programs[name].start(port));
        return null;
      } catch (error) {
        const portTaken = isHAError(error, "CONFIG_INVALID") && error.details["port"] === port;
        if (portTaken && tries < PORT_TRIES && !insist) {
          port = await ports.renew(name);
          continue;
        }
        if (insist) keep(name, port, null);
        return asHAError(error);
      }
    }
  }

  async function stopOne(name: OwnStore, progress: (text: string) => void): Promise<void> {
    const store = kept.get(name);
    kept.delete(name);
    if (store?.current()) progress(`stopping ${programs[name].title}`);
    await store?.stop();
    await programs[name].end();
  }

  return {
    async ensure(desired, ports, insist, progress) {
      const missing = OWN_STORES.filter((name) => isOwn(desired, name) && !kept.has(name));
      const failures = await Promise.all(
        missing.map((name) => {
          progress(`starting ${programs[name].title}`);
          return start(name, ports, insist);
        }),
      );
      return failures.filter((failure) => failure !== null);
    },
    async retire(desired, progress) {
      for (const name of OWN_STORES) if (!isOwn(desired, name)) await stopOne(name, progress);
    },
    current: (store) => kept.get(store)?.current() ?? null,
    restarts: (store) => kept.get(store)?.restarts() ?? 0,
    async stop(progress) {
      await stopOne("redis", progress);
      await stopOne("postgres", progress);
    },
    async detach() {
      await Promise.all([...kept.values()].map((store) => store.detach()));
      kept.clear();
    },
  };
}

/** Several failures of one start as one error: the first one's kind, everybody's words. */
export function combined(failures: readonly HAError[]): HAError | null {
  const [first, ...others] = failures;
  if (first === undefined || others.length === 0) return first ?? null;
  const message = failures.map((failure) => failure.message).join("; ");
  return new HAError(first.code, message, first.details, { cause: first });
}
