/** Bytes to store: whole, or as a stream of known or unknown length. */
export type ObjectBody = Uint8Array | AsyncIterable<Uint8Array>;

export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
}

/**
 * Immutable objects by key. Callers use content-addressed keys (core/object-key.ts), so that writing a key twice
 * writes the same bytes and no correctness hangs on a conditional PUT; what is current is decided by rows in Postgres.
 *
 * Every call ends within the adapter's deadline; a stream counts as alive while it makes progress.
 * @throws HAError STORE_UNAVAILABLE from every method when the store did not answer or refused
 */
export interface ObjectStore {
  /**
   * Stores the bytes; a reader sees all of them or none. With `sha256` the adapter refuses bytes of another hash.
   * @throws HAError REQUEST_INVALID when the bytes do not have the given hash, TIMEOUT when the source stalls, or the
   *   source's own error; nothing is stored then
   */
  put(
    key: string,
    body: ObjectBody,
    options?: { readonly sha256?: string; readonly signal?: AbortSignal },
  ): Promise<ObjectInfo>;
  /** All bytes, or null where there is no such object. */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array | null>;
  /** A stream that the caller must read to its end or destroy, or null. */
  getStream(key: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | null>;
  head(key: string): Promise<ObjectInfo | null>;
  /** Deleting what is not there does nothing. */
  delete(keys: readonly string[]): Promise<void>;
  /** All objects whose key starts with `prefix`, in key order, paged underneath. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /** Cheap proof that the store answers and may be written; for readiness and doctor. */
  check(): Promise<void>;
  close(): Promise<void>;
}
