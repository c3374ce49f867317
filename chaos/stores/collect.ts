import type pg from "pg";
import type { ObjectStore } from "../../server/ports/object-store.ts";
import { findForeignInFolder, findForeignInRedis, findInLogs } from "./canaries.ts";
import { readDatabase } from "./read-database.ts";
import { openRedis, queueLeft } from "./read-redis.ts";
import { SNAPSHOT_VERSION, type StoredCall, type StoresSnapshot } from "./snapshot.ts";

/** Where to look once a run is over; nothing is changed there. */
export interface CollectOptions {
  /** As the database's owner, who sees all tenants. */
  readonly database: pg.Pool;
  readonly redisUrl: string;
  readonly demoModelUrl: string;
  /** Reads sealed segments and large bodies back; null where the object store cannot be reached from here. */
  readonly objects: Pick<ObjectStore, "get"> | null;
  /** Searched for canaries; `objects` holds `tenants/TENANT/…`. Null where not reachable. */
  readonly folders: { readonly objects: string | null; readonly logs: string | null };
  readonly tenants: readonly { readonly id: string; readonly canary: string }[];
  /** Session keys of this run begin so; whatever else the deployment holds is none of its business. */
  readonly sessionPrefix: string;
  /** Keys of this run begin so: marks the model's calls. */
  readonly keyPrefix: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What the stores hold of one run. @throws Error when a store does not answer: without it nothing can be judged */
export async function collectStores(options: CollectOptions): Promise<StoresSnapshot> {
  const { folders, sessionPrefix, tenants } = options;
  const redis = openRedis(options.redisUrl);
  try {
    const [database, calls, left, inRedis, inObjects, inLogs] = await Promise.all([
      readDatabase(options.database, { sessionPrefix, objects: options.objects }),
      modelCalls(options.demoModelUrl, options.keyPrefix),
      queueLeft(redis, sessionPrefix),
      findForeignInRedis(redis, tenants),
      folders.objects === null ? [] : findForeignInFolder(folders.objects, tenants),
      folders.logs === null ? [] : findInLogs(folders.logs, tenants),
    ]);
    const foreign = [...inRedis, ...inObjects, ...inLogs];
    return { version: SNAPSHOT_VERSION, takenAt: options.now, ...database, calls, foreign, queueLeft: left };
  } finally {
    redis.disconnect();
  }
}

/** The run's calls as the demo model remembers them: its newest 10,000. */
async function modelCalls(url: string, keyPrefix: string): Promise<StoredCall[]> {
  const response = await fetch(`${url}/__demo/calls`);
  const { calls } = (await response.json()) as { calls: StoredCall[] };
  return calls
    .filter(({ text }) => text.includes(`<${keyPrefix}`))
    .map(({ session, text, startOrder, endOrder, startedAt, endedAt, status, aborted }) => ({
      session,
      text,
      startOrder,
      endOrder,
      startedAt,
      endedAt,
      status,
      aborted,
    }));
}
