import type { ProcessControl } from "../adapters/process/process-control.ts";
import { asHAError, HAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { openControlSocket } from "./control-socket.ts";
import type { DeploymentBook } from "./book.ts";
import { deploymentPaths } from "./deployment.ts";
import { machineProcesses } from "./machine.ts";
import { openMachineParts } from "./machine-parts.ts";
import type { MachineOptions } from "./machine-parts.ts";
import { tryLock } from "./lock.ts";
import type { SupervisorParts } from "./parts.ts";
import { createSupervisor } from "./supervisor.ts";

export interface SupervisorOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly processes: ProcessControl;
  /** Called once the lock is held: nobody else changes the files from then on. */
  open(): Promise<SupervisorParts>;
  /** Ends the supervisor; the deployment goes on. */
  readonly signal: AbortSignal;
  /** How long a supervisor waits for its first order; default 15 s. */
  readonly idleMs?: number;
}

const IDLE_MS = 15_000;
const CHECK_MS = 2_000;
/** A pool that has to grow should not wait long for it. */
const FOLLOW_MS = 1_000;

/**
 * Runs the supervisor of a data directory until the deployment was stopped, failed to start, or the signal aborts.
 * It does nothing by itself before the first `apply`: `up` says what is wanted, also to take over what runs already.
 * @throws HAError TIMEOUT when another supervisor has the directory
 */
export async function runSupervisor(options: SupervisorOptions): Promise<void> {
  const { dataDir, logger } = options;
  const lock = await tryLock(deploymentPaths(dataDir).lock);
  if (lock === null) throw new HAError("TIMEOUT", `another supervisor runs ${dataDir}`, { dataDir });
  try {
    const parts = await options.open();
    await serve(options, parts);
    await parts.book.save({ supervisor: null });
    logger.info("supervisor.ended", { phase: parts.book.state().phase });
  } finally {
    lock.release();
  }
}

/** The supervisor of a deployment of this machine: `serve supervisor`. */
export const superviseMachine = (options: MachineOptions & { readonly signal: AbortSignal }): Promise<void> =>
  runSupervisor({ ...options, processes: machineProcesses, open: () => openMachineParts(options) });

async function serve(
  { clock, logger, processes, signal, idleMs }: SupervisorOptions,
  parts: SupervisorParts,
) {
  const supervisor = createSupervisor(parts);
  const ending = new AbortController();
  const ended = AbortSignal.any([signal, ending.signal]);
  /** An order that leaves nothing to watch is the supervisor's last one. */
  const unlessEngaged = (): void => void (supervisor.engaged() || ending.abort());
  const socket = await openControlSocket(
    {
      view: () => supervisor.view(),
      apply: (request, progress) => supervisor.apply(request, progress).finally(unlessEngaged),
      scale: (request, progress) => supervisor.scale(request, progress).finally(unlessEngaged),
      upgrade: (request, progress) => supervisor.upgrade(request, progress).finally(unlessEngaged),
      drain: (instance, progress) => supervisor.drain(instance, progress).finally(unlessEngaged),
      stop: (progress) => supervisor.stop(progress).finally(unlessEngaged),
    },
    logger,
  );
  await announce(parts.book, processes, socket);
  const startedAt = clock.monotonic();
  while (!ended.aborted) {
    await clock.sleep(supervisor.automatic() ? FOLLOW_MS : CHECK_MS, ended);
    if (ended.aborted) break;
    if (supervisor.engaged()) {
      await supervisor.check().catch((error: unknown) => {
        logger.warn("supervisor.check_failed", {
          reason: error instanceof Error ? error.message : String(error),
        });
      });
      // Not waited for: what drains must not keep anybody from looking.
      void supervisor.follow().catch((error: unknown) => {
        logger.warn("supervisor.resize_failed", { reason: asHAError(error).message });
      });
    } else if (clock.monotonic() - startedAt > (idleMs ?? IDLE_MS)) {
      ending.abort();
    }
  }
  await supervisor.detach();
  await socket.close();
}

async function announce(
  book: DeploymentBook,
  processes: ProcessControl,
  { url, token }: { readonly url: string; readonly token: string },
): Promise<void> {
  const { pid } = process;
  await book.save({ supervisor: { pid, birth: processes.identify(pid) ?? "", url, token } });
}
