/** What a look at the database tells. Times are milliseconds. */
export interface PostgresFacts {
  /** As the server reports it: `18.1`. */
  readonly version: string;
  /** `server_version_num`: 180001. */
  readonly versionNumber: number;
  /** The database's clock minus this machine's; exact to half of `roundTripMs`. */
  readonly clockSkewMs: number;
  readonly roundTripMs: number;
  /** 0 where it has never been migrated. */
  readonly schemaRevision: number;
  /** The revision that this release brings a database to. */
  readonly releaseRevision: number;
  /** False behind a pooler that hands one server connection to several clients: a session lock means nothing there. */
  readonly sessionLocks: boolean;
  readonly inRecovery: boolean;
  /** `max_connections`, without those kept for superusers. */
  readonly maxConnections: number;
  /** `on`, `local`, `remote_write`, `remote_apply`, `off`. */
  readonly synchronousCommit: string;
}

export interface RedisFacts {
  readonly version: string;
  /** `noeviction`, `allkeys-lru`, … */
  readonly evictionPolicy: string;
  readonly usedMemoryBytes: number;
  /** 0 where there is no limit. */
  readonly maxMemoryBytes: number;
  readonly persistence: {
    /** `AOF`, `RDB`; none is usual here. */
    readonly kinds: readonly string[];
    /** The last attempt to write failed. */
    readonly failed: boolean;
  };
  readonly roundTripMs: number;
}

/**
 * Looks at the stores of a deployment, one connection each, for a moment.
 * @throws HAError STORE_UNAVAILABLE or CONFIG_INVALID from each, with the driver's words as the cause
 */
export interface StoreFacts {
  postgres(): Promise<PostgresFacts>;
  /** Null where the deployment has no Redis. */
  redis(): Promise<RedisFacts | null>;
  /** Proof that objects can be written and read. */
  objects(): Promise<void>;
}
