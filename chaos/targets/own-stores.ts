import { join } from "node:path";
import { homedir } from "node:os";
import { startEmbeddedPostgres } from "../../server/adapters/local/embedded-postgres.ts";
import { programFolders } from "../../server/adapters/local/find-program.ts";
import { freePort } from "../../server/adapters/local/free-port.ts";
import type { LocalStore, LocalStoreOptions } from "../../server/adapters/local/local-store.ts";
import { startNatsServer } from "../../server/adapters/local/nats-server.ts";
import { startRedisServer } from "../../server/adapters/local/redis-server.ts";
import { type LocalS3, startVersitygw } from "../../server/adapters/local/versitygw.ts";
import type { Logger } from "../../server/ports/logger.ts";
import type { Random } from "../../server/ports/random.ts";
import { keepStore } from "../../server/supervisor/kept-store.ts";
import { type FaultProxy, startFaultProxy } from "../faults/proxy.ts";
import type { Subject, TargetOptions } from "./target.ts";

export const BUCKET = "openclaw-ha-chaos";

/** A store of our own, started again whenever it ends, and the proxy that the deployment reaches it through. */
export interface OwnStore {
  readonly id: "postgres" | "redis" | "nats" | "s3";
  /** Past the proxy, for looking. */
  readonly directUrl: string;
  /** As the deployment is told. */
  readonly url: string;
  readonly proxy: FaultProxy;
  /** Folder that is the store's alone. */
  readonly dir: string;
  subject(): Subject;
  close(): Promise<void>;
}

export interface OwnStores {
  readonly all: readonly OwnStore[];
  /** Keys of the S3 server; null where objects lie in a directory. */
  readonly s3: Pick<LocalS3, "accessKeyId" | "secretAccessKey" | "region"> | null;
  close(): Promise<void>;
}

/** Starts the stores that these options ask for, each behind a proxy. @throws HAError MISSING_DEPENDENCY */
export async function startOwnStores(
  folder: string,
  options: Pick<TargetOptions, "bus" | "objects" | "clock" | "projectRoot" | "progress">,
  random: Random,
  path: string,
): Promise<OwnStores> {
  const programs = programFolders(options.projectRoot, path, homedir());
  const opened: OwnStore[] = [];
  let s3: OwnStores["s3"] = null;
  const open = async <Store extends LocalStore>(
    id: OwnStore["id"],
    start: (base: Pick<LocalStoreOptions, "dir" | "port" | "outliveParent">) => Promise<Store>,
  ): Promise<Store> => {
    options.progress(`starting ${id} behind a proxy`);
    const dir = join(folder, id);
    const base = { dir, port: await freePort(), outliveParent: true };
    const first = await start(base);
    const kept = keepStore(
      { name: id, clock: options.clock, logger: SILENT, start: () => start(base) },
      first,
    );
    const proxy = await startFaultProxy({ id, target: base.port, random });
    const url = new URL(first.url);
    url.port = String(proxy.port);
    opened.push({
      id,
      dir,
      proxy,
      directUrl: first.url,
      url: url.href.replace(/\/$/, ""),
      subject: () => ({ id, pool: "store", pid: kept.current()?.pid ?? null }),
      async close() {
        await kept.stop();
        await proxy.close();
      },
    });
    return first;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((store) => store.close()));
  };
  try {
    await open("postgres", (base) => startEmbeddedPostgres(base));
    await open("redis", (base) => startRedisServer({ ...base, programs }));
    if (options.bus === "nats") await open("nats", (base) => startNatsServer({ ...base, programs }));
    if (options.objects === "s3") {
      const server = await open("s3", (base) => startVersitygw({ ...base, programs, buckets: [BUCKET] }));
      s3 = {
        accessKeyId: server.accessKeyId,
        secretAccessKey: server.secretAccessKey,
        region: server.region,
      };
    }
    return { all: opened, s3, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
