import { spawn } from "node:child_process";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { EventBus } from "../../ports/event-bus.ts";
import { follow, writer, type WriterOptions } from "../../ports/contract/event-follower.ts";
import { storeFolder } from "../../testing/keep.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { startTestRedis, type TestStore } from "../../testing/services.ts";
import { until } from "../../testing/until.ts";
import { freePort } from "../local/free-port.ts";
import { redisEventBus } from "./event-bus.ts";
import { redisKeys } from "./keys.ts";

/** Sessions that share a call of the script, and what one of them can do to the others. */
const acme = tenantId("acme");
const PREFIX = "batches";
const sessions = ["a", "b", "c"].map((name) => `agent:main:${name}` as WriterOptions["session"] & string);

const openBus = (url: string): EventBus => {
  const bus = redisEventBus({ url, logger: recordingLogger(), random: seededRandom(1), prefix: PREFIX });
  onTestFinished(() => bus.close());
  return bus;
};

describe("a batch of several sessions", () => {
  let redis: TestStore;
  beforeAll(async () => {
    redis = await startTestRedis({ own: true });
  });
  afterAll(() => redis.stop());

  it("is heard as far as it was kept when one of its histories cannot be written to", async () => {
    const raw = new Redis(redis.url);
    onTestFinished(() => raw.disconnect());
    const broken = redisKeys(PREFIX).events(acme, writer({ session: sessions[1]! }).at(1).sessionKey);
    await raw.set(broken, "not a stream");
    const bus = openBus(redis.url);
    const follower = await follow(bus, acme);
    const batches = sessions.map((session) => writer({ session }).range(1, 2));

    await expect(bus.publishMany(batches)).rejects.toThrow("WRONGTYPE");
    await follower.heard(() => follower.events.length === 2);
    await raw.del(broken);
    expect(await bus.publishMany(batches)).toEqual(["published", "published", "published"]);
    await follower.heard(() => follower.events.length === 6);
    expect(follower.events).toEqual(batches.flat());
  });
});

describe("a Redis that is a cluster", () => {
  it("is given each session by itself, and answers in order", async () => {
    const bus = openBus(await startCluster());
    const follower = await follow(bus, acme);
    await bus.publish(writer({ session: sessions[1]!, token: 5 }).range(1, 1));
    const batches = sessions.map((session) => writer({ session, token: 4 }).range(1, 2));
    expect(await bus.publishMany(batches)).toEqual(["published", "fenced", "published"]);
    expect(await bus.publishMany(batches)).toEqual(["published", "fenced", "published"]);
    await follower.heard(() => follower.events.length === 5);
  });
});

/** One node that has every slot, and refuses what touches two of them as any cluster does. */
async function startCluster(): Promise<string> {
  const [port, folder] = [await freePort(), await storeFolder("redis-cluster")];
  const settings = { port: String(port), bind: "127.0.0.1", dir: folder, save: "", "cluster-enabled": "yes" };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn("redis-server", args, { stdio: "ignore" });
  onTestFinished(() => void server.kill("SIGKILL"));
  const raw = new Redis({ port, host: "127.0.0.1", retryStrategy: () => 50 });
  raw.on("error", () => {}); // until it listens
  onTestFinished(() => raw.disconnect());
  await raw.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until(async () => (await raw.cluster("INFO")).includes("cluster_state:ok"));
  return `redis://127.0.0.1:${port}`;
}
