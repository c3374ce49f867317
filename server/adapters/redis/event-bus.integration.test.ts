import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { EventBus } from "../../ports/event-bus.ts";
import { eventBusContract } from "../../ports/contract/event-bus.contract.ts";
import { follow, type Writer, writer } from "../../ports/contract/event-follower.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { startTestRedis, type TestStore } from "../../testing/services.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { until } from "../../testing/until.ts";
import { redisEventBus, type RedisEventBusOptions } from "./event-bus.ts";

const acme = tenantId("acme");

let redis: TestStore;
let seed = 0;
beforeAll(async () => {
  redis = await startTestRedis({ own: true });
});
afterAll(() => redis.stop());

/** Keys and channels of its own, so that tests do not meet. */
const settings = (): RedisEventBusOptions => ({
  url: redis.url,
  logger: recordingLogger(),
  random: seededRandom(++seed),
  prefix: `test-${seed}`,
});

const openBus = (options: RedisEventBusOptions): EventBus => {
  const bus = redisEventBus(options);
  onTestFinished(() => bus.close());
  return bus;
};

const openRaw = (): Redis => {
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  return client;
};

const throughProxy = async () => {
  const { port } = new URL(redis.url);
  const proxy = await startTcpProxy(Number(port));
  onTestFinished(() => proxy.close());
  return { proxy, url: redis.url.replace(`:${port}`, `:${proxy.port}`) };
};

const replay = (bus: EventBus, of: Writer, after: number) => {
  const { tenant, sessionKey, runId } = of.at(1);
  return bus.replay(tenant, sessionKey, runId, after);
};
const unavailable = expect.objectContaining({ code: "STORE_UNAVAILABLE" }) as Error;
/** Until Redis is back, as a publisher would. */
const publishAgain = (bus: EventBus, events: Parameters<EventBus["publish"]>[0]) =>
  until(() => bus.publish(events).catch(() => null));

// Redis trims its streams by whole nodes of 100 entries.
eventBusContract("redis", async () => {
  const options = { ...settings(), historyEntries: 50 };
  const [bus, other] = [redisEventBus(options), redisEventBus({ ...options, random: seededRandom(++seed) })];
  return {
    bus,
    other,
    historyEntries: 100,
    close: async () => void (await Promise.all([bus.close(), other.close()])),
  };
});

describe("history in Redis", () => {
  it("is dropped when a session has been quiet for long enough", async () => {
    const bus = openBus({ ...settings(), historyMs: 300 });
    const run = writer();
    await bus.publish(run.range(1, 2));
    expect(await replay(bus, run, 0)).toHaveLength(2);
    await until(async () => (await replay(bus, run, 0)) === null);
  });

  it("is read only as far back as needed", async () => {
    const bus = openBus(settings());
    const run = writer();
    for (const event of run.range(1, 300)) await bus.publish([event]);
    const raw = openRaw();
    const outputBytes = async (): Promise<number> =>
      Number(/total_net_output_bytes:(\d+)/u.exec(await raw.info("stats"))![1]);
    const before = await outputBytes();
    expect(await replay(bus, run, 298)).toHaveLength(2);
    const few = (await outputBytes()) - before;
    expect(await replay(bus, run, 0)).toHaveLength(300);
    expect((await outputBytes()) - before - few).toBeGreaterThan(5 * few);
  });

  it("begins again after a flush, with nothing of before", async () => {
    const bus = openBus(settings());
    const run = writer();
    await bus.publish(run.range(1, 5));
    await openRaw().flushall();
    await bus.publish(run.range(6, 7));
    expect(await replay(bus, run, 0)).toBeNull();
    expect(await replay(bus, run, 5)).toEqual(run.range(6, 7));
  });
});

describe("connections of a process", () => {
  it("are two, however many follow", async () => {
    const options = settings();
    const bus = openBus(options);
    await Promise.all(Array.from({ length: 60 }, (_, i) => follow(bus, tenantId(`tenant-${i % 20}`))));
    const channels = (await openRaw().call("PUBSUB", "CHANNELS", `${options.prefix}:*`)) as string[];
    expect(channels).toHaveLength(20);
    const clients = String(await openRaw().client("LIST")).split("\n");
    expect(clients.filter((line) => line.includes("sub=20"))).toHaveLength(1);
  });

  it("unsubscribe when the last follower of a tenant has gone", async () => {
    const options = settings();
    const bus = openBus(options);
    const followers = [await follow(bus, acme), await follow(bus, acme)];
    const channels = () => openRaw().call("PUBSUB", "CHANNELS", `${options.prefix}:*`);
    await followers[0]!.unsubscribe();
    expect(await channels()).toHaveLength(1);
    await followers[1]!.unsubscribe();
    expect(await channels()).toHaveLength(0);
  });
});

describe("a Redis that goes away", () => {
  it("is told to followers as a gap when it is back, and what they missed can be replayed", async () => {
    const { proxy, url } = await throughProxy();
    const options = settings();
    const [far, near] = [openBus({ ...options, url }), openBus(options)];
    const run = writer();
    const followers = [await follow(far, acme), await follow(far, acme)];
    await near.publish(run.range(1, 2));
    await Promise.all(followers.map((follower) => follower.heard(() => follower.events.length === 2)));
    proxy.cut();
    await until(() => !far.healthy());
    await near.publish(run.range(3, 4));
    await Promise.all(followers.map((follower) => follower.heard(() => follower.gaps() === 1)));
    expect(await replay(far, run, 2)).toEqual(run.range(3, 4));
    await near.publish(run.range(5, 5));
    for (const follower of followers) {
      await follower.heard(() => follower.events.at(-1)?.runSeq === 5);
      expect(follower.gaps()).toBe(1);
    }
    expect(far.healthy()).toBe(true);
  });

  it("refuses publications until it is back, and then takes them once", async () => {
    const bus = openBus(settings());
    const run = writer();
    const follower = await follow(bus, acme);
    await bus.publish(run.range(1, 2));
    await redis.kill();
    await expect(bus.publish(run.range(3, 3))).rejects.toEqual(unavailable);
    await expect(bus.publishMany([run.range(3, 3)])).rejects.toEqual(unavailable);
    await expect(bus.notify(acme, { type: "presence" })).rejects.toEqual(unavailable);
    await expect(replay(bus, run, 0)).rejects.toEqual(unavailable);
    expect(bus.healthy()).toBe(false);
    await redis.start();
    await publishAgain(bus, run.range(3, 4));
    await bus.publish(run.range(3, 5));
    expect(await replay(bus, run, 2)).toEqual(run.range(3, 5));
    await follower.heard(() => follower.gaps() === 1);
    await until(() => bus.healthy());
  });

  it("recognises what it has kept though its answer was lost", async () => {
    const { proxy, url } = await throughProxy();
    const options = settings();
    const [far, near] = [openBus({ ...options, url, commandTimeoutMs: 200 }), openBus(options)];
    const run = writer();
    await far.publish(run.range(1, 1));
    const follower = await follow(near, acme);
    const failing = far.publish(run.range(2, 3)).then(
      () => null,
      (error: unknown) => error,
    );
    proxy.holdAnswers(true);
    await follower.heard(() => follower.events.length === 2); // Redis has it; the writer will not know
    expect(await failing).toEqual(unavailable);
    proxy.cut();
    proxy.holdAnswers(false);
    expect(await publishAgain(far, run.range(2, 4))).toBe("published");
    await follower.heard(() => follower.events.length >= 3);
    expect(follower.events).toEqual(run.range(2, 4));
    expect(await replay(near, run, 0)).toEqual(run.range(1, 4));
  });

  it("is noticed when it accepts and never answers, also by who only listens", async () => {
    const { proxy, url } = await throughProxy();
    const logger = recordingLogger();
    const bus = openBus({ ...settings(), url, logger, commandTimeoutMs: 200 });
    const follower = await follow(bus, acme);
    await until(() => bus.healthy());
    proxy.blackHole(true);
    await expect(bus.publish(writer().range(1, 1))).rejects.toEqual(unavailable);
    await until(() => !bus.healthy());
    // Long enough for the silent connections to be given up: what then arrives comes over new ones.
    await until(() =>
      logger.lines.some(
        ({ event, fields }) => event === "redis.disconnected" && fields["connection"] === "bus-subscriber",
      ),
    );
    proxy.blackHole(false);
    await follower.heard(() => follower.gaps() === 1);
    await until(() => bus.healthy());
  });

  it("may be away when a follower subscribes: the subscription stands when it comes", async () => {
    const late = await startTestRedis({ own: true });
    onTestFinished(() => late.stop());
    await late.kill();
    const bus = openBus({ ...settings(), url: late.url });
    const follower = await follow(bus, acme);
    expect([follower.gaps(), bus.healthy()]).toEqual([0, false]);
    await late.start();
    await follower.heard(() => follower.gaps() === 1);
    await publishAgain(bus, writer().range(1, 2));
    await follower.heard(() => follower.events.length === 2);
  });
});
