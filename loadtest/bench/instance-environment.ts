import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { BenchStores } from "./stores.ts";

export type Environment = Readonly<Record<string, string>>;

/** What gateways and workers on these stores are started with: `runs` at once in the pool and in a worker. */
export async function instanceEnvironment(options: {
  readonly folder: string;
  readonly modelPort: number;
  readonly stores: BenchStores;
  readonly runs: number;
}): Promise<Environment> {
  const { folder, modelPort, stores, runs } = options;
  const configFile = path.join(folder, "openclaw.json");
  await writeFile(configFile, JSON.stringify({ agents: { defaults: { maxConcurrent: runs } } }));
  return {
    OPENCLAW_HA_POSTGRES_URL: stores.postgresUrl,
    OPENCLAW_HA_REDIS_URL: stores.redisUrl,
    OPENCLAW_HA_OBJECTS_DIR: path.join(folder, "objects"),
    OPENCLAW_HA_OPENCLAW_CONFIG: configFile,
    OPENCLAW_HA_DEMO_MODEL_URL: `http://127.0.0.1:${modelPort}/v1`,
    OPENCLAW_HA_SLOTS: String(runs),
  };
}
