import type { SessionKey, TenantId, WorkerId } from "../../core/ids.ts";

/** Prefix of everything this product keeps in a Redis that it may share with others. */
export const DEFAULT_PREFIX = "openclaw-ha";

/** Every key and channel is built here. What one script touches shares a hash tag, as Redis Cluster asks for. */
export interface RedisKeys {
  /** Stream, state and backlog of a pool, in the order of KEYS in lua/pool.lua. */
  pool(pool: string): readonly [stream: string, state: string, backlog: string];
  /** Event history of a session. */
  events(tenant: TenantId, sessionKey: SessionKey): string;
  /** Buckets of a tenant's requests and tokens. */
  limits(tenant: TenantId): string;
  /** Channel for everything that happens in a tenant. */
  tenantChannel(tenant: TenantId): string;
  /** Channel for signals to one worker. */
  workerChannel(worker: WorkerId): string;
}

export const redisKeys = (prefix: string): RedisKeys => ({
  pool: (pool) => [
    `${prefix}:{${pool}}:ready`,
    `${prefix}:{${pool}}:sessions`,
    `${prefix}:{${pool}}:backlog`,
  ],
  // A tenant id holds neither colon nor brace, so no session key can reach into another tenant's names.
  events: (tenant, sessionKey) => `${prefix}:events:{${tenant}:${sessionKey}}`,
  limits: (tenant) => `${prefix}:limits:{${tenant}}`,
  tenantChannel: (tenant) => `${prefix}:tenant:${tenant}`,
  workerChannel: (worker) => `${prefix}:worker:${worker}`,
});
