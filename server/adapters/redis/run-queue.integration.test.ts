import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { sessionKey, tenantId, workerId } from "../../core/ids.ts";
import { runQueueContract } from "../../ports/contract/run-queue.contract.ts";
import type { ReadySession, RunQueue } from "../../ports/run-queue.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { startTestRedis, type TestStore } from "../../testing/services.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { until } from "../../testing/until.ts";
import { systemClock } from "../system/clock.ts";
import { redisRunQueue, type RedisRunQueueOptions } from "./run-queue.ts";

const WIDTHS = { main: 3, subagent: 2, cron: 1 };
const a = workerId("worker-1.a");
const b = workerId("worker-2.b");

let redis: TestStore;
let seed = 0;
beforeAll(async () => {
  redis = await startTestRedis({ own: true });
});
afterAll(() => redis.stop());

/** Keys of its own, so that tests do not meet. */
const settings = (): RedisRunQueueOptions => ({
  url: redis.url,
  logger: recordingLogger(),
  random: seededRandom(++seed),
  clock: systemClock,
  laneWidths: WIDTHS,
  prefix: `test-${seed}`,
});

const openQueue = (options: RedisRunQueueOptions): RunQueue => {
  const queue = redisRunQueue(options);
  onTestFinished(() => queue.close());
  return queue;
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

/** Until a worker waits inside Redis (flag b: blocked). */
const someoneWaits = async (): Promise<void> => {
  const raw = openRaw();
  await until(async () => /flags=b.*cmd=xreadgroup/iu.test(String(await raw.client("LIST"))));
};

/** How often Redis has carried out a command. */
const calls = async (command: string): Promise<number> => {
  const stats = await openRaw().info("commandstats");
  const line = stats.split("\n").find((one) => one.startsWith(`cmdstat_${command}:`));
  return Number(/calls=(\d+)/u.exec(line ?? "")?.[1] ?? 0);
};

const sessions = (count: number): ReadySession[] =>
  Array.from({ length: count }, (_, i) => ({
    tenant: tenantId("acme"),
    sessionKey: sessionKey(`agent:main:s${i}`),
    lane: "main",
    pool: "shared",
  }));
const keysOf = (list: readonly ReadySession[]): string[] => list.map((session) => session.sessionKey).sort();
/** What a promise fails with, so that it may fail while the test does something else. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no failure",
    (error: unknown) => error,
  );
const unavailable = expect.objectContaining({ code: "STORE_UNAVAILABLE" }) as Error;
const take = (queue: RunQueue, worker = a, max = 10, waitMs = 0) =>
  queue.take(worker, ["shared"], max, waitMs);

runQueueContract("redis", async (setting) => {
  const options = { ...settings(), ...setting };
  const queue = redisRunQueue(options);
  const other = redisRunQueue({ ...options, random: seededRandom(++seed) });
  return { queue, other, close: async () => void (await Promise.all([queue.close(), other.close()])) };
});

describe("a Redis that loses its content", () => {
  it("begins again under another epoch when it is flushed between take and done", async () => {
    const queue = openQueue(settings());
    const raw = openRaw();
    await queue.enqueue(sessions(5));
    const epoch = await queue.epoch("shared");
    const taken = await take(queue);
    await raw.flushall();
    await queue.done(a, taken);
    expect(await queue.epoch("shared")).not.toBe(epoch);
    expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 0, backlog: 0 });
    await queue.enqueue(sessions(5));
    await queue.done(a, taken); // of another life: must not free the lane of those that are admitted now
    expect(await queue.depth("shared")).toEqual({ ready: 3, delivered: 0, backlog: 2 });
  });

  it("serves a worker that was waiting when it was flushed", async () => {
    const queue = openQueue(settings());
    const raw = openRaw();
    const taking = take(queue, a, 10, 20_000);
    await someoneWaits();
    await raw.flushall();
    await queue.enqueue(sessions(1));
    expect(await taking).toHaveLength(1);
  });

  it("forgets everything together when one of its keys is gone", async () => {
    const options = settings();
    const queue = openQueue(options);
    const raw = openRaw();
    for (const [key, left] of [
      ["ready", 3],
      ["sessions", 3],
    ] as const) {
      await queue.enqueue(sessions(5));
      const epoch = await queue.epoch("shared");
      await raw.del(`${options.prefix}:{shared}:${key}`);
      expect(await queue.epoch("shared")).not.toBe(epoch);
      expect((await queue.enqueue(sessions(5))).every(({ added }) => added)).toBe(true);
      expect(await queue.depth("shared")).toEqual({ ready: left, delivered: 0, backlog: 2 });
    }
  });

  it("gets a lost backlog back by enqueueing again", async () => {
    const options = settings();
    const queue = openQueue(options);
    await queue.enqueue(sessions(5));
    await openRaw().del(`${options.prefix}:{shared}:backlog`);
    await queue.enqueue(sessions(5));
    const first = await take(queue);
    await queue.done(a, first);
    expect(keysOf([...first, ...(await take(queue))])).toEqual(keysOf(sessions(5)));
  });

  it("takes the text of its scripts again after SCRIPT FLUSH", async () => {
    const queue = openQueue(settings());
    await queue.enqueue(sessions(1));
    await openRaw().script("FLUSH");
    await queue.enqueue(sessions(2));
    expect(await take(queue)).toHaveLength(2);
  });
});

it("asks Redis to end the wait of a worker that drains", async () => {
  const queue = openQueue(settings());
  const before = await calls("client|unblock");
  const drain = new AbortController();
  const taking = queue.take(a, ["shared"], 1, 20_000, drain.signal);
  await someoneWaits();
  drain.abort();
  expect(await taking).toEqual([]);
  expect(await calls("client|unblock")).toBeGreaterThan(before);
});

it("gives a session once to a worker that takes twice at the same time", async () => {
  const { proxy, url } = await throughProxy();
  let aheadMs = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
  const options = settings();
  const [far, near] = [openQueue({ ...options, url, clock }), openQueue(options)];
  const first = take(far, a, 10, 60_000);
  await someoneWaits();
  proxy.holdAnswers(true); // the sessions are on their way to the first take
  await near.enqueue(sessions(2));
  await until(async () => (await near.depth("shared")).delivered === 2);
  aheadMs = 10_000; // so that the second one looks for lost sessions, and finds them
  const looks = await calls("xpending");
  const second = take(far, a, 10, 0);
  await until(async () => (await calls("xpending")) > looks);
  proxy.holdAnswers(false);
  expect(keysOf([...(await first), ...(await second)])).toEqual(keysOf(sessions(2)));
});

describe("a Redis that goes away", () => {
  it("is answered STORE_UNAVAILABLE while it is down, and the queue goes on, empty, when it is back", async () => {
    const queue = openQueue(settings());
    await queue.enqueue(sessions(5));
    const epoch = await queue.epoch("shared");
    const taken = await take(queue);
    const waiting = failureOf(take(queue, b, 10, 20_000));
    await redis.kill();
    expect(await waiting).toEqual(unavailable);
    await expect(queue.done(a, taken)).rejects.toEqual(unavailable);
    await expect(queue.enqueue(sessions(1))).rejects.toEqual(unavailable);
    await expect(queue.reclaim(a, ["shared"])).rejects.toEqual(unavailable);
    await redis.start();
    await until(() => queue.enqueue(sessions(5)).catch(() => null));
    expect(await queue.epoch("shared")).not.toBe(epoch);
    expect(await queue.depth("shared")).toEqual({ ready: 3, delivered: 0, backlog: 2 });
    await queue.done(a, taken);
    expect(await until(() => take(queue).catch(() => null))).toHaveLength(3);
  });

  it("does not carry out later what it has refused", async () => {
    const queue = openQueue(settings());
    await queue.depth("shared");
    await redis.kill();
    await expect(queue.enqueue(sessions(2))).rejects.toEqual(unavailable);
    await redis.start();
    const depth = await until(() => queue.depth("shared").catch(() => null));
    expect(depth).toEqual({ ready: 0, delivered: 0, backlog: 0 });
  });

  it("may be down when the process starts", async () => {
    const late = await startTestRedis({ own: true });
    onTestFinished(() => late.stop());
    await late.kill();
    const queue = openQueue({ ...settings(), url: late.url });
    await expect(queue.depth("shared")).rejects.toEqual(unavailable);
    await late.start();
    await until(() => queue.enqueue(sessions(1)).catch(() => null));
    expect(await take(queue)).toHaveLength(1);
  });

  it("fails within its time limits when it accepts and never answers, and recovers when it does", async () => {
    const { proxy, url } = await throughProxy();
    const queue = openQueue({ ...settings(), url, commandTimeoutMs: 200 });
    await queue.enqueue(sessions(1));
    proxy.blackHole(true);
    await expect(queue.enqueue(sessions(2))).rejects.toEqual(unavailable);
    await expect(take(queue, a, 1, 60_000)).rejects.toEqual(unavailable);
    proxy.blackHole(false);
    await until(() => queue.enqueue(sessions(2)).catch(() => null));
    expect(keysOf(await until(() => take(queue).catch(() => null)))).toEqual(keysOf(sessions(2)));
  });

  it("gives a worker again what was delivered in a reply that never arrived", async () => {
    const { proxy, url } = await throughProxy();
    const options = settings();
    const far = openQueue({ ...options, url, commandTimeoutMs: 200 });
    const near = openQueue(options);
    await take(far); // connections stand
    const taking = failureOf(take(far, a, 10, 60_000));
    await someoneWaits();
    proxy.blackHole(true); // the worker waits in Redis, and the answer will be swallowed
    await near.enqueue(sessions(2));
    await until(async () => (await near.depth("shared")).delivered === 2);
    expect(await taking).toEqual(unavailable);
    proxy.blackHole(false);
    const taken = await until(() => take(far).catch(() => null));
    expect(keysOf(taken)).toEqual(keysOf(sessions(2)));
    expect(await take(far)).toEqual([]);
  });

  it("gives a worker again what it could not report as done", async () => {
    const { proxy, url } = await throughProxy();
    const queue = openQueue({ ...settings(), url, commandTimeoutMs: 200 });
    await queue.enqueue(sessions(1));
    const taken = await take(queue);
    proxy.blackHole(true);
    const reporting = failureOf(queue.done(a, taken));
    proxy.cut(); // with what was held back: Redis never hears of it
    expect(await reporting).toEqual(unavailable);
    proxy.blackHole(false);
    expect(await until(() => take(queue).catch(() => null))).toEqual(taken);
  });

  it("says in the log when it goes and comes, without the password", async () => {
    const { proxy, url } = await throughProxy();
    const options = { ...settings(), url, logger: recordingLogger() };
    const queue = openQueue(options);
    await queue.enqueue(sessions(1));
    proxy.cut();
    const events = () => options.logger.lines.map(({ event }) => event);
    await until(() => events().filter((event) => event === "redis.connected").length === 2);
    expect(events()).toEqual(["redis.connected", "redis.disconnected", "redis.connected"]);
    expect(JSON.stringify(options.logger.lines)).not.toContain(new URL(redis.url).password);
  });
});
