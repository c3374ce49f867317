import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { asHAError } from "../core/errors.ts";
import type { HeartbeatLink, OpenHeartbeatLink } from "../ports/heartbeat-link.ts";
import { heartbeatLoop } from "./heartbeat-loop.ts";
import type { ThreadInput, ThreadMessage, ThreadOrder } from "./heartbeat-messages.ts";
import { monotonicMs, sharedState } from "./heartbeat-messages.ts";
import { watchdog } from "./watchdog.ts";

/**
 * The thread beside a worker's event loop: it beats over a connection of its own, so that a loop that is busy does
 * not lose leases, and it watches the loop, so that one that hangs for good does not keep them.
 */
async function run(input: ThreadInput, post: (message: ThreadMessage) => void): Promise<void> {
  const shared = sharedState(input.shared);
  const stop = new AbortController();
  const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    delay(ms, undefined, { signal }).catch(() => undefined);

  const { openHeartbeatLink } = (await import(input.linkModule)) as { openHeartbeatLink: OpenHeartbeatLink };
  const link: HeartbeatLink = openHeartbeatLink(input.linkSettings);

  const beat = async (): Promise<void> => {
    await heartbeatLoop(
      {
        worker: input.worker,
        link,
        monotonic: monotonicMs,
        sleep,
        random: Math.random,
        intervalMs: input.intervalMs,
        report: (report) => {
          // Before the message: the worker reads it even while its loop is too busy for messages.
          if (report.type === "confirmed") shared.confirm(report.sentAt);
          post({ type: "report", report });
        },
      },
      stop.signal,
    );
  };

  parentPort?.on("message", (order: ThreadOrder) => {
    if (order === "beat") void beat();
    else stop.abort();
  });
  const guarding = watchdog(
    {
      progress: () => shared.progress(),
      sleep,
      limitMs: input.watchdogMs,
      onStalled: (stalledMs) => killProcess(input, stalledMs),
    },
    stop.signal,
  );

  try {
    const lock = await link.lock(input.worker);
    post({ type: "locked", lock });
    await guarding;
  } catch (error) {
    const { message } = asHAError(error);
    post({ type: "unavailable", message });
  } finally {
    stop.abort();
    await link.close();
    parentPort?.close();
  }
}

/**
 * SIGKILL, because a loop that hangs runs no handler; the kernel then closes the sockets, the lock falls, and other
 * workers take the sessions over. The line goes straight to stderr: the logger lives on the thread that hangs.
 */
function killProcess(input: ThreadInput, stalledMs: number): void {
  const line = { level: 60, time: Date.now(), msg: "worker.stalled", worker: input.worker, stalledMs };
  writeSync(2, `${JSON.stringify(line)}\n`);
  process.kill(process.pid, "SIGKILL");
}

const port = parentPort;
if (port !== null) await run(workerData as ThreadInput, (message) => port.postMessage(message));
