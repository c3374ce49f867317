import { setTimeout as sleep } from "node:timers/promises";
import type { WaitStrategy } from "testcontainers";
import type * as Testcontainers from "testcontainers";
import { HAError } from "../core/errors.ts";

/** When a container counts as started: a line of its log, a command in it that succeeds, or a path that answers 200. */
export type ReadyCheck = { readonly log: string } | { readonly command: string } | { readonly http: string };

const POLL_MS = 50;
const ASK_MS = 1_000;

/** @param port of 127.0.0.1 on which its port is published */
export function waitStrategy(
  { Wait }: Pick<typeof Testcontainers, "Wait">,
  ready: ReadyCheck,
  port: number | undefined,
): WaitStrategy {
  if ("log" in ready) return Wait.forLogMessage(ready.log);
  if ("command" in ready) return Wait.forSuccessfulCommand(ready.command);
  return publishedHttp(`http://127.0.0.1:${port}${ready.http}`);
}

/**
 * Instead of the library's own `forHttp`: that asks the bridge's gateway where it takes this machine for a container
 * (by /.dockerenv), and nothing of ours is published there.
 */
function publishedHttp(url: string): WaitStrategy {
  let timeoutMs: number | null = null;
  const strategy: WaitStrategy = {
    async waitUntilReady(container) {
      const deadline = performance.now() + strategy.getStartupTimeout();
      while (!(await answers(url))) {
        const { State } = await container.inspect();
        if (!State.Running) throw new HAError("INTERNAL", `it has ended with exit code ${State.ExitCode}`);
        if (performance.now() > deadline) throw new HAError("TIMEOUT", `${url} does not answer 200`);
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
