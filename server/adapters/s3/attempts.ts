import type { Clock } from "../../ports/clock.ts";
import { unlessAborted } from "../../ports/object-bytes.ts";
import { backoffMs } from "../../ports/random.ts";
import type { Random } from "../../ports/random.ts";
import { isPassing, storeUnavailable } from "./failures.ts";
import type { S3Place } from "./failures.ts";

/** How long requests may take, milliseconds. */
export interface S3Deadlines {
  /** For one TCP and TLS connection. */
  readonly connectMs: number;
  /** For one request without any progress. */
  readonly stallMs: number;
  /** No new attempt is begun after this. */
  readonly callMs: number;
}

export interface Attempts {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: S3Deadlines;
  readonly place: S3Place;
}

export interface Call {
  /** What is tried, for the message: `write object …`. */
  readonly what: string;
  readonly signal?: AbortSignal;
  /** Size of the request's body: it gets the time that a slow line needs for it. */
  readonly bytes?: number;
}

const ATTEMPTS_MAX = 3;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 2_000;

/** A transfer slower than 64 KiB/s counts as hung: a request's body cannot be watched while it is sent. */
const SLOWEST_BYTES_PER_MS = 64;

/**
 * Tries until it works, at most three times, with full jitter in between; each attempt has its own deadline, so a
 * connection that hangs does not use up the whole call. The SDK's own retries are off: it would not end a body that
 * stops, and it would start again whatever the caller's deadline.
 * @param work must stop when its signal aborts; calls `alive` whenever there was progress
 * @throws HAError STORE_UNAVAILABLE, or the reason of the caller's signal
 */
export async function withAttempts<T>(
  { clock, random, deadlines, place }: Attempts,
  call: Call,
  work: (signal: AbortSignal, alive: () => void) => Promise<T>,
): Promise<T> {
  const startedAt = clock.monotonic();
  for (let attempt = 1; ; attempt++) {
    call.signal?.throwIfAborted();
    try {
      return await once(deadlines.stallMs + (call.bytes ?? 0) / SLOWEST_BYTES_PER_MS, call.signal, work);
    } catch (error) {
      call.signal?.throwIfAborted();
      const late = clock.monotonic() - startedAt >= deadlines.callMs;
      if (attempt === ATTEMPTS_MAX || late || !isPassing(error))
        throw storeUnavailable(error, call.what, place);
    }
    await clock.sleep(backoffMs(random, attempt - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS), call.signal);
  }
}

/** One attempt. It ends in time also where the SDK does not heed its signal. */
async function once<T>(
  stallMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal, alive: () => void) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const late = Object.assign(new Error(`no progress for ${Math.round(stallMs)} ms`), {
    name: "TimeoutError",
  });
  const timer = setTimeout(() => controller.abort(late), stallMs);
  const signal = outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]);
  try {
    return await unlessAborted(
      work(signal, () => timer.refresh()),
      signal,
    );
  } finally {
    clearTimeout(timer);
  }
}
