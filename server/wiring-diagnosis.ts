import type { InstanceConfig } from "./config.ts";
import type { StoreFacts } from "./diagnosis/facts.ts";
import type { Clock } from "./ports/clock.ts";
import type { Random } from "./ports/random.ts";

/**
 * Facts about the stores of a configuration. Apart from wiring.ts because a diagnosis must come about where the ports
 * cannot be opened. Drivers are loaded by the fact that needs them.
 */
export function openStoreFacts(
  config: InstanceConfig,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): StoreFacts {
  const { objects, postgresUrl, redisUrl } = config;
  return {
    async postgres() {
      const { postgresFacts } = await import("./adapters/postgres/facts.ts");
      return postgresFacts(postgresUrl, () => clock.now());
    },
    async redis() {
      if (redisUrl === null) return null;
      const { redisFacts } = await import("./adapters/redis/facts.ts");
      return redisFacts(redisUrl);
    },
    async objects() {
      if (objects.kind === "directory") {
        const { directoryObjectStore } = await import("./adapters/directory/object-store.ts");
        return directoryObjectStore({ dir: objects.directory }).check();
      }
      const { s3ObjectStore } = await import("./adapters/s3/object-store.ts");
      const { bucket, credentials, endpoint, region } = objects;
      const store = s3ObjectStore({
        bucket,
        region,
        clock,
        random,
        ...(endpoint === null ? {} : { endpoint }),
        ...(credentials === null ? {} : { credentials }),
      });
      try {
        await store.check();
      } finally {
        await store.close();
      }
    },
  };
}
