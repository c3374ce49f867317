import { Worker } from "node:worker_threads";
import { HAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import {
  monotonicMs,
  newSharedState,
  sharedState,
  type ThreadInput,
  type ThreadMessage,
  type ThreadOrder,
} from "./heartbeat-messages.ts";
import { type KeepLease, reportHandler, type TrustWindow, trustWindow } from "./keep-lease.ts";

/** How long the event loop may hang before the thread ends the process. */
export const WATCHDOG_MS = 30_000;
const PROGRESS_INTERVAL_MS = 1_000;

export interface ThreadKeeperDeps {
  readonly clock: Clock;
  /** URL of a module that exports `openHeartbeatLink` (ports/heartbeat-link.ts). */
  readonly linkModule: string;
  /** Given to it by structured clone. */
  readonly linkSettings: unknown;
  readonly intervalMs?: number;
  readonly watchdogMs?: number;
}

/** Beats on a thread with a connection of its own, and lets that thread end the process when this one hangs. */
export const threadKeeper =
  (deps: ThreadKeeperDeps): KeepLease =>
  (request) =>
    new Promise((resolve, reject) => {
      const buffer = newSharedState();
      const shared = sharedState(buffer);
      const input: ThreadInput = {
        worker: request.worker,
        linkModule: deps.linkModule,
        linkSettings: deps.linkSettings,
        shared: buffer,
        intervalMs: deps.intervalMs,
        watchdogMs: deps.watchdogMs ?? WATCHDOG_MS,
      };
      const thread = new Worker(new URL("heartbeat-thread.ts", import.meta.url), { workerData: input });
      const gone = new Promise<void>((ended) => thread.once("exit", () => ended()));
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      const order = (what: ThreadOrder): void => thread.postMessage(what);
      const progress = setInterval(() => shared.advance(), PROGRESS_INTERVAL_MS);
      progress.unref();

      let trust: TrustWindow | null = null;
      const stop = async (): Promise<void> => {
        clearInterval(progress);
        trust?.end();
        order("stop");
        // A connection that hangs must not hold the drain up; the lock falls with the thread in any case.
        const patience = new AbortController();
        await Promise.race([gone, deps.clock.sleep(1_000, patience.signal)]);
        patience.abort();
        await thread.terminate();
      };
      const fail = (error: unknown): void => {
        void stop();
        reject(error);
      };

      const begin = async (message: Extract<ThreadMessage, { type: "locked" }>): Promise<void> => {
        const sentAt = monotonicMs();
        await request.register(message.lock);
        const window = trustWindow({
          clock: deps.clock,
          monotonic: monotonicMs,
          worker: request.worker,
          sentAt,
          confirmedAt: () => shared.confirmedAt(),
        });
        trust = window;
        order("beat");
        resolve({ trustMs: window.ms, lost: window.lost, stop });
      };

      thread.on("message", (message: ThreadMessage) => {
        switch (message.type) {
          case "locked":
            begin(message).catch(fail);
            return;
          case "unavailable":
            fail(new HAError("STORE_UNAVAILABLE", message.message, { worker: request.worker }));
            return;
          case "report":
            if (trust !== null) reportHandler(request, trust)(message.report);
            return;
          default:
            message satisfies never;
        }
      });
      thread.on("error", (error) => {
        // The window closes by itself when nobody beats; closing it now only makes the recovery faster.
        request.logger.error("worker.heartbeat_thread_failed", { message: error.message });
        trust?.close("its heartbeat thread failed");
        fail(new HAError("INTERNAL", `heartbeat thread failed: ${error.message}`, {}, { cause: error }));
      });
    });
