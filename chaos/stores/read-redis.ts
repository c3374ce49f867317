import { Redis } from "ioredis";
import { DEFAULT_PREFIX } from "../../server/adapters/redis/keys.ts";

/** A connection to look with: it gives up instead of waiting, because a run that is over has its stores back. */
export function openRedis(url: string): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: 3, connectTimeout: 3_000, commandTimeout: 5_000 });
  redis.on("error", () => {}); // the command that needed it rejects
  return redis;
}

/** Sessions of the run that some pool's queue still holds, waiting or taken. */
export async function queueLeft(redis: Redis, sessionPrefix: string): Promise<number> {
  let left = 0;
  for (const key of await keysLike(redis, `${DEFAULT_PREFIX}:{*}:sessions`)) {
    const fields = await redis.hkeys(key);
    // `s:TENANT:KEY`; a tenant's name holds no colon.
    left += fields.filter((field) => field.replace(/^s:[^:]*:/, "").startsWith(sessionPrefix)).length;
  }
  return left;
}

/** Event histories of a tenant's sessions, each as one text. */
export async function eventTexts(
  redis: Redis,
  tenant: string,
): Promise<{ readonly key: string; readonly text: string }[]> {
  const texts: { key: string; text: string }[] = [];
  for (const key of await keysLike(redis, `${DEFAULT_PREFIX}:events:{${tenant}:*`)) {
    if ((await redis.type(key)) !== "stream") continue;
    const entries = await redis.xrangeBuffer(key, "-", "+");
    texts.push({ key, text: entries.flatMap(([, fields]) => fields.map(String)).join("\n") });
  }
  return texts;
}

/** By SCAN, which does not stop a server that others use as well. */
async function keysLike(redis: Redis, pattern: string): Promise<string[]> {
  const found = new Set<string>();
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", pattern, "COUNT", 500);
    for (const key of keys) found.add(key);
    cursor = next;
  } while (cursor !== "0");
  return [...found];
}
