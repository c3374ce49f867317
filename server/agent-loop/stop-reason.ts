import { isHAError } from "../core/errors.ts";

/** True when the run is not to be ended but given up: its next holder goes on from the last checkpoint. */
export const isHandover = (reason: unknown): boolean =>
  isHAError(reason, "LEASE_LOST") || isHAError(reason, "DRAINING");

/** @throws the signal's reason, when it says that the run is no longer ours */
export function throwIfHandedOver(signal: AbortSignal): void {
  if (signal.aborted && isHandover(signal.reason)) throw signal.reason;
}

/** How an aborted run ends. */
export const endOfAborted = (signal: AbortSignal): "timed_out" | "aborted" =>
  isHAError(signal.reason, "TIMEOUT") ? "timed_out" : "aborted";

/**
 * The promise's outcome, or a rejection with the signal's reason as soon as the run is handed over: a store that
 * does not answer must not keep a run alive that is no longer ours. Other aborts wait for the outcome, because what
 * has been written decides how the run may end.
 */
export function unlessHandedOver<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      if (isHandover(signal.reason)) reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
