import { rm } from "node:fs/promises";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { startEmbeddedPostgres } from "../adapters/local/embedded-postgres.ts";
import { programFolders } from "../adapters/local/find-program.ts";
import { freePort } from "../adapters/local/free-port.ts";
import type { LocalStore, LocalStoreOptions } from "../adapters/local/local-store.ts";
import { startNatsServer } from "../adapters/local/nats-server.ts";
import { endProcess } from "../adapters/local/process-table.ts";
import { startRedisServer } from "../adapters/local/redis-server.ts";
import { startVersitygw } from "../adapters/local/versitygw.ts";
import type { LocalS3 } from "../adapters/local/versitygw.ts";
import { containersWanted, startContainerStore, startS3ContainerStore } from "./container-stores.ts";
import { guard, sharedPostgresUrl, storeFolder } from "./keep.ts";
import { testDatabases } from "./test-database.ts";
import type { TestPostgres } from "./test-database.ts";

export type { TestDatabase, TestPostgres } from "./test-database.ts";

/**
 * Real servers for integration tests: containers where global-setup.ts chose them, else programs of this machine.
 * Whatever a test leaves running is ended when the vitest run is over, also when the run was killed (keeper.ts).
 *
 * A server that is given by the environment is used instead: OPENCLAW_HA_TEST_POSTGRES_URL (a superuser's),
 * OPENCLAW_HA_TEST_REDIS_URL (may be flushed), OPENCLAW_HA_TEST_NATS_URL, OPENCLAW_HA_TEST_S3_ENDPOINT with
 * OPENCLAW_HA_TEST_S3_BUCKET and AWS_*. Tests that kill a server always start their own: `startTest…({ own: true })`.
 */

const PACKAGE_ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Where the programs of this machine are looked for, as the product does. */
export const testPrograms = (): readonly string[] =>
  programFolders(PACKAGE_ROOT, process.env["PATH"] ?? "", homedir());

export interface TestStoreOptions {
  /** True: never a server given by the environment, for tests that kill it. */
  readonly own?: boolean;
}

/** A server of one test or test file. */
export interface TestStore {
  readonly url: string;
  /** Kills it as a crash would and resolves when it is gone; data and address are kept for `start`. */
  kill(signal?: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<void>;
  /** Starts it again where it was; does nothing while it runs. */
  start(): Promise<void>;
  /** Of the process that runs now, for SIGSTOP and SIGCONT. */
  pid(): number;
  /** Ends it and removes its files. Does nothing to a server given by the environment. */
  stop(): Promise<void>;
}

export interface TestS3 extends TestStore {
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The PostgreSQL that all test files of the run share; each makes itself a database. */
export async function testPostgres(): Promise<TestPostgres> {
  return testDatabases(process.env["OPENCLAW_HA_TEST_POSTGRES_URL"] ?? (await sharedPostgresUrl()));
}

/** A PostgreSQL server of its own, not migrated; for tests that kill it. */
export async function startTestPostgres(options: { readonly durable?: boolean } = {}): Promise<TestStore> {
  if (containersWanted()) return startContainerStore("postgres", options);
  return startOwn("postgres", (base) =>
    startEmbeddedPostgres({ ...base, durable: options.durable ?? false }),
  );
}

export async function startTestRedis(options: TestStoreOptions = {}): Promise<TestStore> {
  const url = process.env["OPENCLAW_HA_TEST_REDIS_URL"];
  if (url !== undefined && options.own !== true) return given(url);
  if (containersWanted()) return startContainerStore("redis");
  return startOwn("redis", (base) => startRedisServer({ ...base, programs: testPrograms() }));
}

export async function startTestNats(options: TestStoreOptions = {}): Promise<TestStore> {
  const url = process.env["OPENCLAW_HA_TEST_NATS_URL"];
  if (url !== undefined && options.own !== true) return given(url);
  if (containersWanted()) return startContainerStore("nats");
  return startOwn("nats", (base) => startNatsServer({ ...base, programs: testPrograms() }));
}

/** An S3 server with one empty bucket. */
export async function startTestS3(options: TestStoreOptions = {}): Promise<TestS3> {
  const { env } = process;
  const url = env["OPENCLAW_HA_TEST_S3_ENDPOINT"];
  if (url !== undefined && options.own !== true) {
    return {
      ...given(url),
      bucket: env["OPENCLAW_HA_TEST_S3_BUCKET"] ?? "openclaw-ha-test",
      region: env["AWS_REGION"] ?? "us-east-1",
      accessKeyId: env["AWS_ACCESS_KEY_ID"] ?? "",
      secretAccessKey: env["AWS_SECRET_ACCESS_KEY"] ?? "",
    };
  }
  const bucket = "openclaw-ha-test";
  if (containersWanted()) return startS3ContainerStore(bucket);
  let keys: Pick<LocalS3, "region" | "accessKeyId" | "secretAccessKey"> | undefined;
  const store = await startOwn("s3", async (base) => {
    const s3 = await startVersitygw({ ...base, programs: testPrograms(), buckets: [bucket] });
    keys = { region: s3.region, accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey };
    return s3;
  });
  return { ...store, bucket, ...keys! };
}

async function startOwn(
  name: string,
  open: (base: Pick<LocalStoreOptions, "dir" | "port" | "outliveParent">) => Promise<LocalStore>,
): Promise<TestStore> {
  const dir = await storeFolder(name);
  // Another process may take the port between the look and the start: then another one is as good.
  let port = await freePort();
  const run = async (): Promise<LocalStore> => {
    const started = await open({ dir, port, outliveParent: true });
    await guard(started.pid, started.identity);
    return started;
  };
  let store: LocalStore;
  try {
    store = await run();
  } catch {
    port = await freePort();
    store = await run();
  }
  return {
    url: store.url,
    pid: () => store.pid,
    async kill(signal = "SIGKILL") {
      await endProcess(store.pid, store.identity, signal === "SIGKILL" ? [] : [{ signal, waitMs: 10_000 }]);
    },
    async start() {
      store = await run();
    },
    async stop() {
      await store.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function given(url: string): TestStore {
  const refuse = (): never => {
    throw new Error("this server was given by the environment: a test that kills one asks for its own");
  };
  return { url, kill: async () => refuse(), start: async () => refuse(), pid: refuse, stop: async () => {} };
}
