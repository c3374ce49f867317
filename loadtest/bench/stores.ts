import { randomBytes } from "node:crypto";
import { postgresPool } from "../../server/adapters/postgres/pool.ts";
import { postgresTenantDirectory } from "../../server/adapters/postgres/tenant-directory.ts";
import { tenantId } from "../../server/core/ids.ts";
import { startTestPostgres, startTestRedis, type TestStore } from "../../server/testing/services.ts";
import { migrate } from "../../migrate/schema.ts";

/** Stores of one benchmark: PostgreSQL with durable commits, migrated, and Redis. */
export interface BenchStores {
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** A token of tenant `bench`, with every operator scope. */
  readonly token: string;
  /** The servers' processes. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export interface BenchStoresOptions {
  /** PostgreSQL settings for what does not fit into its small defaults. */
  readonly sharedBuffers?: string;
  readonly maxWalSize?: string;
}

export async function startStores(options: BenchStoresOptions = {}): Promise<BenchStores> {
  const [postgres, redis] = await Promise.all([
    startTestPostgres({ durable: true }),
    startTestRedis({ own: true }),
  ]);
  const stop = async (): Promise<void> => {
    await Promise.all([postgres.stop(), redis.stop()]);
  };
  const token = randomBytes(24).toString("base64url");
  try {
    if (options.sharedBuffers !== undefined) await configure(postgres, options);
    await migrate({ connectionString: postgres.url });
    await addTenant(postgres.url, token);
  } catch (error) {
    await stop();
    throw error;
  }
  return { postgresUrl: postgres.url, redisUrl: redis.url, token, pids: [postgres.pid(), redis.pid()], stop };
}

/** Settings that take a restart. */
async function configure(
  postgres: TestStore,
  { sharedBuffers, maxWalSize }: BenchStoresOptions,
): Promise<void> {
  const pool = postgresPool({ url: postgres.url, applicationName: "bench", role: null, maxConnections: 1 });
  if (sharedBuffers !== undefined) await pool.query(`ALTER SYSTEM SET shared_buffers = '${sharedBuffers}'`);
  if (maxWalSize !== undefined) await pool.query(`ALTER SYSTEM SET max_wal_size = '${maxWalSize}'`);
  await pool.end();
  await postgres.kill("SIGINT");
  await postgres.start();
}

/** Adds tenant `bench` with a token. */
export async function addTenant(url: string, token: string): Promise<void> {
  const pool = postgresPool({ url, applicationName: "bench", role: null, maxConnections: 1 });
  const directory = postgresTenantDirectory({ pool });
  const tenant = tenantId("bench");
  await directory.addTenant(tenant, "shared");
  await directory.addToken(tenant, token, ["operator.admin"], "bench");
  await pool.end();
}
