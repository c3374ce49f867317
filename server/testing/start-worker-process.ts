import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { RunLedger, WorkerView } from "../ports/run-ledger.ts";
import { until } from "./until.ts";

type Workers = Pick<RunLedger, "workers">;

/**
 * Starts a worker in a process of its own, for tests that kill or stop it, and waits until it is registered; it is killed
 * at the latest when the test ends. `program` stands beside this file, and its header says what it reads of the environment.
 */
export async function startWorkerProcess(
  ledger: Workers,
  program: "agent-process.ts" | "worker-process.ts",
  env: Readonly<Record<string, string>> & { readonly INSTANCE: string },
): Promise<ChildProcess> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", file], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  await registered(ledger, env.INSTANCE);
  return child;
}

/** Waits for a worker of that instance, and for another life of it than `not`. */
export const registered = (ledger: Workers, instance: string, not?: string): Promise<WorkerView> =>
  until(
    async () => (await ledger.workers()).find((view) => view.instance === instance && view.worker !== not),
    { what: `the registration of ${instance}`, timeoutMs: 20_000 },
  );
