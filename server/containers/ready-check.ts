import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { WaitStrategy } from "testcontainers";
import type * as Testcontainers from "testcontainers";
import { HAError } from "../core/errors.ts";

/**
 * When a container counts as started: a command in it that succeeds, a path that answers 200, or words that its port
 * says, unasked or after a greeting. Not a line of its log: one that a container wrote right after a restart is at
 * times missing from the log that Docker's engine follows, and would be waited for in vain.
 */
export type ReadyCheck =
  { readonly command: string } | { readonly http: string } | { readonly says: string; readonly to?: string };

const POLL_MS = 50;
const ASK_MS = 1_000;

/** @param port of 127.0.0.1 on which its port is published */
export function waitStrategy(
  { Wait }: Pick<typeof Testcontainers, "Wait">,
  ready: ReadyCheck,
  port: number | undefined,
): WaitStrategy {
  if ("command" in ready) return Wait.forSuccessfulCommand(ready.command);
  if ("says" in ready) {
    return published(`${port} does not say ${ready.says}`, () => says(port, ready.says, ready.to ?? ""));
  }
  const url = `http://127.0.0.1:${port}${ready.http}`;
  return published(`${url} does not answer 200`, () => answers(url));
}

/**
 * Asks the published port until it is ready. Instead of the library's own `forHttp`: that asks the bridge's gateway
 * where it takes this machine for a container (by /.dockerenv), and nothing of ours is published there.
 */
function published(complaint: string, isReady: () => Promise<boolean>): WaitStrategy {
  let timeoutMs: number | null = null;
  const strategy: WaitStrategy = {
    async waitUntilReady(container) {
      const deadline = performance.now() + strategy.getStartupTimeout();
      while (!(await isReady())) {
        const { State } = await container.inspect();
        if (!State.Running) throw new HAError("INTERNAL", `it has ended with exit code ${State.ExitCode}`);
        if (performance.now() > deadline) throw new HAError("TIMEOUT", complaint);
        await sleep(POLL_MS);
      }
    },
    withStartupTimeout(ms) {
      timeoutMs = ms;
      return strategy;
    },
    isStartupTimeoutSet: () => timeoutMs !== null,
    getStartupTimeout: () => timeoutMs ?? Number.POSITIVE_INFINITY,
  };
  return strategy;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ASK_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function says(port: number | undefined, words: string, greeting: string): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port: port ?? 0 });
  socket.setTimeout(ASK_MS, () => socket.destroy());
  try {
    socket.write(greeting);
    for await (const data of socket) return (data as Buffer).toString("latin1").startsWith(words);
  } catch {
    // Refused, reset or silent: not ready.
  }
  // The engine's proxy takes connections before the container listens, and then ends them.
  return false;
}
