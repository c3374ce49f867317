import type { WorkerId } from "../core/ids.ts";
import type { LockState } from "../ports/run-ledger.ts";
import type { HeartbeatReport } from "./heartbeat-loop.ts";

/** `workerData` of the heartbeat thread. */
export interface ThreadInput {
  readonly worker: WorkerId;
  /** URL of a module that exports `openHeartbeatLink`. */
  readonly linkModule: string;
  /** Passed to it as it is; may hold a connection string, so it is never logged. */
  readonly linkSettings: unknown;
  readonly shared: SharedArrayBuffer;
  readonly intervalMs?: number;
  readonly watchdogMs: number;
}

/** From the thread to the worker. */
export type ThreadMessage =
  /** The first message of a thread that could connect. */
  | { readonly type: "locked"; readonly lock: LockState }
  /** The store did not answer; the thread ends. */
  | { readonly type: "unavailable"; readonly message: string }
  | { readonly type: "report"; readonly report: HeartbeatReport };

/** From the worker to the thread: the row is registered, or it is over. */
export type ThreadOrder = "beat" | "stop";

/** Nanoseconds of the confirmed heartbeat's sending, and the worker loop's progress. */
const WORDS = 2;

export const newSharedState = (): SharedArrayBuffer =>
  new SharedArrayBuffer(WORDS * BigInt64Array.BYTES_PER_ELEMENT);

/** Read and written by both threads; each word has one writer. */
export interface SharedState {
  confirm(sentAtMs: number): void;
  /** Monotonic milliseconds; 0 before the first confirmation. */
  confirmedAt(): number;
  advance(): void;
  progress(): number;
}

export function sharedState(buffer: SharedArrayBuffer): SharedState {
  const words = new BigInt64Array(buffer);
  return {
    confirm: (sentAtMs) => void Atomics.store(words, 0, BigInt(Math.floor(sentAtMs * 1e6))),
    confirmedAt: () => Number(Atomics.load(words, 0)) / 1e6,
    advance: () => void Atomics.add(words, 1, 1n),
    progress: () => Number(Atomics.load(words, 1)),
  };
}

/** Monotonic milliseconds that mean the same on every thread of the process; `performance.now()` does not. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
