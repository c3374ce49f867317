import { isPortFree } from "../adapters/local/free-port.ts";
import { HAError } from "../core/errors.ts";
import type { Random } from "../ports/random.ts";

/**
 * Ports are chosen below the range that Linux (from 32768) and macOS (from 49152) give to outgoing connections: an
 * instance that restarts must not find its port taken by somebody's connection.
 */
const FIRST = 20_000;
const LAST = 32_767;
const TRIES = 200;

/** Finds ports of 127.0.0.1 that are free and that no part of the deployment was promised. */
export interface PortAllocator {
  /** The port promised to `name` before, or a new one. */
  forName(name: string): Promise<number>;
  /** Another port for `name`: somebody else has taken the one it had. */
  renew(name: string): Promise<number>;
  /** Promises this very port to `name`. */
  set(name: string, port: number): void;
  /** Everything promised so far. */
  ports(): Readonly<Record<string, number>>;
}

export function portAllocator(
  promised: Readonly<Record<string, number>>,
  random: Random,
  isFree: (port: number) => Promise<boolean> = isPortFree,
): PortAllocator {
  const ports: Record<string, number> = { ...promised };

  async function choose(): Promise<number> {
    const taken = new Set(Object.values(ports));
    for (let tries = 0; tries < TRIES; tries++) {
      const port = FIRST + Math.floor(random.float() * (LAST - FIRST + 1));
      if (!taken.has(port) && (await isFree(port))) return port;
    }
    throw new HAError("CONFIG_INVALID", `no free port between ${FIRST} and ${LAST} on 127.0.0.1`, {
      hint: "end other programs that listen there",
    });
  }

  const renew = async (name: string): Promise<number> => {
    const port = await choose();
    ports[name] = port;
    return port;
  };

  return {
    forName: async (name) => ports[name] ?? renew(name),
    renew,
    set: (name, port) => void (ports[name] = port),
    ports: () => ({ ...ports }),
  };
}

/** The public port is the user's choice: it is never exchanged silently. */
export const publicPortTaken = (port: number): HAError =>
  new HAError("CONFIG_INVALID", `port ${port} of 127.0.0.1 is taken by another program`, {
    port,
    hint: "end that program, or choose another port: --port N, or --port 0 for any free one",
  });
