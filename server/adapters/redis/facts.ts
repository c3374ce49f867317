import { Redis } from "ioredis";
import { HAError } from "../../core/errors.ts";
import type { RedisFacts } from "../../diagnosis/facts.ts";

const TIMEOUT_MS = 3_000;

/**
 * Looks at a Redis or Valkey with one short connection.
 * @throws HAError STORE_UNAVAILABLE
 */
export async function redisFacts(url: string): Promise<RedisFacts> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  client.on("error", () => {}); // told by the call that fails
  try {
    await client.connect();
    const started = performance.now();
    await client.ping();
    const roundTripMs = performance.now() - started;
    const info = await client.info("server");
    const memory = await client.info("memory");
    const persistence = await client.info("persistence");
    // A managed Redis may not let itself be asked; it takes care of its disk itself then.
    const saves = await client.config("GET", "save").then(
      (answer) => answer[1] ?? "",
      () => "",
    );
    return {
      // Valkey tells the Redis release that it is compatible with beside its own.
      version: field(info, "redis_version") || "0",
      evictionPolicy: field(memory, "maxmemory_policy"),
      usedMemoryBytes: Number(field(memory, "used_memory")),
      maxMemoryBytes: Number(field(memory, "maxmemory")),
      persistence: {
        kinds: [
          ...(field(persistence, "aof_enabled") === "1" ? ["AOF"] : []),
          ...(saves === "" ? [] : ["RDB"]),
        ],
        failed:
          (saves !== "" && field(persistence, "rdb_last_bgsave_status") === "err") ||
          (field(persistence, "aof_enabled") === "1" &&
            field(persistence, "aof_last_write_status") === "err"),
      },
      roundTripMs,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new HAError("STORE_UNAVAILABLE", `Redis did not answer: ${why}`, {}, { cause: error });
  } finally {
    client.disconnect();
  }
}

const field = (info: string, name: string): string =>
  new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
