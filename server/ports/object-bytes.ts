import { createHash } from "node:crypto";
import { HAError } from "../core/errors.ts";
import type { ObjectBody } from "./object-store.ts";

/** What the adapters of ObjectStore have in common: reading a body with all its promises kept. */
export interface CheckedBodyOptions {
  /** Expected hash, hex. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
  /** Longest pause of a source, milliseconds. */
  readonly stallMs: number;
}

/**
 * The chunks of a body, watched: it ends with an error when the signal aborts (the signal's reason), when the source
 * stops for longer than `stallMs`, and, after the last chunk, when the bytes do not have the given hash. So who stores
 * what it yields and publishes it only after its orderly end never publishes wrong bytes.
 * @throws HAError REQUEST_INVALID for another hash, TIMEOUT for a source that stopped; what the source throws
 */
export async function* checkedChunks(
  key: string,
  body: ObjectBody,
  options: CheckedBodyOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = options.sha256 === undefined ? null : createHash("sha256");
  const source: AsyncIterable<Uint8Array> = body instanceof Uint8Array ? oneChunk(body) : body;
  const late = (): HAError =>
    new HAError("TIMEOUT", `the source of object ${key} gave nothing for ${options.stallMs} ms`, { key });
  for await (const chunk of eachWithin(source, { withinMs: options.stallMs, late, signal: options.signal })) {
    hash?.update(chunk);
    yield chunk;
  }
  const actual = hash?.digest("hex");
  if (actual !== undefined && actual !== options.sha256) {
    const message = `object ${key} has another hash than the one that was announced`;
    throw new HAError("REQUEST_INVALID", message, { key, expected: options.sha256, actual });
  }
}

export interface EachWithinOptions {
  /** Longest wait for one chunk, milliseconds. Only waiting for the source counts, not what the consumer takes. */
  readonly withinMs: number;
  /** Makes the error for a source that took too long. */
  readonly late: () => Error;
  readonly signal?: AbortSignal;
  /** Translates what the source throws; default: as it is. */
  readonly failed?: (error: unknown) => Error;
  /**
   * Called once when the stream ends early, whatever the reason: a generator that was never started, or hangs in an
   * `await`, frees nothing by itself.
   */
  readonly dispose?: () => void;
}

/** Passes on what the source yields, waiting only so long for each chunk. Ending early ends the source. */
export function eachWithin(
  source: AsyncIterable<Uint8Array>,
  options: EachWithinOptions,
): AsyncIterableIterator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const { failed } = options;
  let ended = false;

  async function pull(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await iterator.next();
    } catch (error) {
      throw failed === undefined ? error : failed(error);
    }
  }

  function endEarly(): void {
    if (ended) return;
    ended = true;
    options.dispose?.();
    iterator.return?.().then(undefined, () => {}); // not awaited: a hanging generator would not answer
  }

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (ended) return { done: true, value: undefined };
      try {
        const result = await within(pull(), options.withinMs, options.late, options.signal);
        if (result.done === true) ended = true;
        return result;
      } catch (error) {
        endEarly();
        throw error;
      }
    },
    async return() {
      endEarly();
      return { done: true, value: undefined };
    },
  };
}

/** The promise's outcome, or `late()` after `ms`, or the signal's reason. The promise itself goes on unwatched then. */
async function within<T>(
  promise: Promise<T>,
  ms: number,
  late: () => Error,
  signal?: AbortSignal,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await unlessAborted(Promise.race([promise, limit]), signal);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {}); // when the limit won, its late failure is nobody's
  }
}

/** The promise's outcome, or the signal's reason as soon as it aborts. The promise itself goes on unwatched then. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => {});
  }
}

/** All bytes of a stream in one array. */
export async function collectBytes(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Order of keys in listings: by their UTF-8 bytes, as S3 does. */
export const compareKeys = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.length > 0) yield bytes;
}
