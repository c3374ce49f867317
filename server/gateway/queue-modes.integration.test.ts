import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryRateLimiter } from "../adapters/memory/rate-limiter.ts";
import { memoryScalingStore } from "../adapters/memory/scaling-store.ts";
import { redisEventBus } from "../adapters/redis/event-bus.ts";
import { redisRunQueue } from "../adapters/redis/run-queue.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { systemRandom } from "../adapters/system/random.ts";
import { startControl } from "../control/main.ts";
import { tenantId } from "../core/ids.ts";
import { QUEUE_MODES } from "../core/queue-mode.ts";
import type { StoreFixture } from "../ports/contract/store-fixture.ts";
import { openPostgresStores } from "../testing/postgres-stores.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { startTestRedis, type TestDatabase, testPostgres, type TestStore } from "../testing/services.ts";
import { connectSocket, type SocketClient } from "../testing/socket-client.ts";
import { startWorkerProcess } from "../testing/start-worker-process.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { startGateway } from "./main.ts";

const CONFIG_VIEW = { path: "openclaw.json", exists: false, document: {}, hash: "" };
const TENANT = tenantId("queues");
const TOKEN = "token-of-queues";

let database: TestDatabase;
let redis: TestStore;
let stores: StoreFixture;
/** Of the pool's processes in this one, undone in reverse order. */
const undo: (() => unknown)[] = [];
let urls: readonly [string, string];

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  redis = await startTestRedis({ own: true });
  stores = await openPostgresStores(database);
  await stores.directory.addTenant(TENANT, "shared");
  await stores.directory.addToken(TENANT, TOKEN, ["operator.admin"], "test");
  const common = { clock: systemClock, random: systemRandom, logger: recordingLogger() };
  const queue = redisRunQueue({ ...common, url: redis.url, laneWidths: TEST_CATALOG.laneWidths });
  const rateLimiter = memoryRateLimiter(common);
  const deps = {
    ...common,
    ...stores,
    queue,
    rateLimiter,
    objects: memoryObjectStore(),
    catalog: TEST_CATALOG,
  };
  const bus = () => {
    const opened = redisEventBus({ ...common, url: redis.url });
    undo.unshift(() => opened.close());
    return opened;
  };
  const gateway = async (instance: string): Promise<string> => {
    const settings = { instance, version: "0.0.0-test", host: "127.0.0.1", port: 0 };
    const handle = await startGateway({ ...deps, configView: CONFIG_VIEW, bus: bus(), settings });
    undo.unshift(() => handle.close());
    return handle.url;
  };
  urls = [await gateway("gateway-1"), await gateway("gateway-2")];
  const control = await startControl({
    ...deps,
    bus: bus(),
    scaling: memoryScalingStore({ clock: systemClock }),
    instance: "control-1",
    pools: ["shared"],
  });
  undo.unshift(() => control.close());
  undo.push(() => queue.close());
});

afterAll(async () => {
  for (const step of undo) await step();
  await stores?.close();
  await redis?.stop();
  await database?.drop();
});

const startWorker = (instance: string): Promise<ChildProcess> =>
  startWorkerProcess(stores.ledger, "worker-process.ts", {
    POSTGRES_URL: database.url,
    REDIS_URL: redis.url,
    INSTANCE: instance,
  });

async function clients(): Promise<readonly [SocketClient, SocketClient]> {
  const connect = async (url: string): Promise<SocketClient> => {
    const client = await connectSocket(url, { token: TOKEN });
    onTestFinished(() => client.close());
    return client;
  };
  return [await connect(urls[0]), await connect(urls[1])];
}

const terminalsOf = (client: SocketClient, runId: string) =>
  client.chats(runId).filter(({ state }) => state === "final" || state === "aborted" || state === "error");

async function historyOf(client: SocketClient, sessionKey: string) {
  const { messages } = (await client.ok("chat.history", { sessionKey, limit: 1_000 })) as {
    messages: { role: string; content: string | readonly { readonly text?: string }[] }[];
  };
  return messages.map(({ role, content }) => {
    const text = typeof content === "string" ? content : content.map((block) => block.text ?? "").join("");
    return `${role}: ${text}`;
  });
}

describe("queue modes over two gateways, PostgreSQL and Redis", () => {
  it("a steered message is answered by the worker that goes on where the first one was killed", async () => {
    const [one, two] = await clients();
    const first = await startWorker("steer-1");
    const session = { sessionKey: "steered" };
    await one.ok("chat.send", { ...session, message: "use the tool, then hang", idempotencyKey: "s1" });
    await one.wait(({ payload }) => payload?.["stream"] === "item", "the start of the tool");
    await two.ok("chat.send", { ...session, message: "and this", idempotencyKey: "s2", queueMode: "steer" });
    for (const client of [one, two]) expect(await client.end("s2")).not.toHaveProperty("message");
    await one.wait(({ payload }) => payload?.["state"] === "delta", "the beginning of the answer");
    await startWorker("steer-2");
    first.kill("SIGKILL");
    for (const client of [one, two]) {
      expect(await client.end("s1")).toMatchObject({
        state: "final",
        message: { content: [{ text: "half of s1, and the rest" }] },
      });
      expect(terminalsOf(client, "s2")).toHaveLength(1);
    }
    expect(await historyOf(two, "steered")).toEqual([
      "user: use the tool, then hang",
      "assistant: ",
      "toolResult: nothing new",
      "user: and this",
      "assistant: half of s1, and the rest",
    ]);
  });

  it("whatever is sent, in any mode, while workers die: each message is told its one end and said once", async () => {
    const random = seededRandom(5);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random.float() * list.length)] as T;
    const pair = await clients();
    const sessions = ["mix-1", "mix-2", "mix-3"];
    let workers = 0;
    const startNext = () => startWorker(`mix-${++workers}`);
    const alive = [await startNext(), await startNext()];
    const sent: { readonly key: string; readonly text: string; readonly session: string }[] = [];
    for (let i = 0; i < 50; i++) {
      const session = pick(sessions);
      const text = `<${i}>${pick([" tool", "", " tool"])}`;
      const how = {
        sessionKey: session,
        message: text,
        idempotencyKey: `m${i}`,
        queueMode: pick(QUEUE_MODES),
      };
      expect(await pick(pair).ok("chat.send", how)).toMatchObject({ status: "started" });
      sent.push({ key: `m${i}`, text, session });
      if (i % 20 === 10) {
        alive.shift()?.kill("SIGKILL");
        alive.push(await startNext());
      }
      await systemClock.sleep(random.float() * 50);
    }
    for (const client of pair) {
      for (const { key } of sent) await client.end(key);
      expect(sent.filter(({ key }) => terminalsOf(client, key).length !== 1)).toEqual([]);
    }
    // That all of it was there to be seen: runs that joined others both ways, aborted ones, and such that lost a worker.
    const runs = await stores.ledger.list(TENANT, { limit: 100 });
    const ends = new Set(runs.map(({ status, result }) => `${status} ${result?.stopReason}`));
    const kinds = ["succeeded stop", "succeeded steered", "succeeded collected", "aborted aborted"];
    expect([...ends]).toEqual(expect.arrayContaining(kinds));
    expect(Math.max(...runs.map(({ attempt }) => attempt))).toBeGreaterThan(1);
    for (const session of sessions) {
      const rows = await historyOf(pair[0], session);
      const said = rows.filter((row) => row.startsWith("user: ")).join("\n");
      const places = sent
        .filter((message) => message.session === session)
        .map(({ text }) => [said.indexOf(text), said.lastIndexOf(text)] as const);
      // Each text stands there once, and all of them in the order of their acknowledgement.
      expect(places.filter(([from, to]) => from === -1 || from !== to)).toEqual([]);
      expect(places).toEqual(places.toSorted((a, b) => a[0] - b[0]));
    }
  });
});
