import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryScalingStore } from "../adapters/memory/scaling-store.ts";
import { redisEventBus } from "../adapters/redis/event-bus.ts";
import { redisRunQueue } from "../adapters/redis/run-queue.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { startControl } from "../control/main.ts";
import { type RunId, runId, sessionKey, type TenantId, tenantId } from "../core/ids.ts";
import { attemptOfRunSeq, placeOfRunSeq, type RunEvent } from "../core/run-event.ts";
import { isEnded } from "../core/run-state.ts";
import { messageText } from "../core/transcript.ts";
import type { StoreFixture } from "../ports/contract/store-fixture.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import { textOf } from "../testing/memory-pool.ts";
import { openPostgresStores } from "../testing/postgres-stores.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { startTestRedis, type TestDatabase, testPostgres, type TestStore } from "../testing/services.ts";
import { registered, startWorkerProcess } from "../testing/start-worker-process.ts";
import { AGENT, TEST_CATALOG } from "../testing/test-catalog.ts";
import { until } from "../testing/until.ts";

let database: TestDatabase;
let redis: TestStore;
let stores: StoreFixture;
let queue: RunQueue;
let bus: EventBus;
let tenants = 0;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  redis = await startTestRedis({ own: true });
  stores = await openPostgresStores(database);
  const server = { url: redis.url, logger: recordingLogger(), random: seededRandom(1) };
  queue = redisRunQueue({ ...server, clock: systemClock, laneWidths: TEST_CATALOG.laneWidths });
  bus = redisEventBus(server);
});

afterAll(async () => {
  await queue?.close();
  await bus?.close();
  await stores?.close();
  await redis?.stop();
  await database?.drop();
});

const startProcess = (instance: string): Promise<ChildProcess> =>
  startWorkerProcess(stores.ledger, "worker-process.ts", {
    POSTGRES_URL: database.url,
    REDIS_URL: redis.url,
    INSTANCE: instance,
  });

async function setup() {
  const tenant: TenantId = tenantId(`t${++tenants}`);
  await stores.directory.addTenant(tenant, "shared");
  const events: RunEvent[] = [];
  const unsubscribe = await bus.subscribe(tenant, {
    onEvents: (heard) => void events.push(...heard),
    onNotice: () => {},
    onGap: () => {},
  });
  const control = await startControl({
    ledger: stores.ledger,
    sessions: stores.sessions,
    queue,
    bus,
    objects: memoryObjectStore(),
    scaling: memoryScalingStore({ clock: systemClock }),
    cron: stores.cron,
    directory: stores.directory,
    subagents: stores.subagents,
    catalog: TEST_CATALOG,
    instance: "control-1",
    clock: systemClock,
    random: seededRandom(3),
    logger: recordingLogger(),
    pools: ["shared"],
  });
  onTestFinished(async () => {
    await control.close();
    await unsubscribe();
  });

  const send = async (run: string, text: string, session = "main"): Promise<RunId> => {
    const id = runId(run);
    const key = sessionKey(`agent:main:${session}`);
    const [answer] = await stores.ledger.accept([
      {
        tenant,
        runId: id,
        sessionKey: key,
        agentId: AGENT,
        lane: "main",
        requestHash: "0".repeat(64),
        input: { body: { inline: { role: "user", content: text, timestamp: 1 } }, options: {} },
        newSessionId: `${session}-id`,
      },
    ]);
    if (answer?.kind === "new" && answer.ready) await queue.enqueue([answer.ready]).catch(() => {});
    return id;
  };
  const ended = (id: RunId) =>
    until(
      async () => {
        const run = await stores.ledger.get(tenant, id);
        return run !== null && isEnded(run.status) ? run : null;
      },
      { timeoutMs: 30_000, what: `the end of ${id}` },
    );
  const heard = (id: RunId, text: string) =>
    until(() => textOf(events.filter((event) => event.runId === id)) === text, {
      what: `${id} saying ${text}`,
    });
  const transcript = async (session = "main"): Promise<string[]> => {
    const { rows } = await stores.sessions.history(tenant, sessionKey(`agent:main:${session}`), {
      limit: 500,
    });
    return rows.map(({ body }) => ("inline" in body ? messageText(body.inline) : "an object"));
  };
  return { tenant, events, send, ended, heard, transcript };
}

describe("workers on PostgreSQL and Redis", () => {
  it("answer every message once, in order, over two processes", async () => {
    const { send, ended, transcript } = await setup();
    await Promise.all([startProcess("w1"), startProcess("w2")]);
    const runs: RunId[] = [];
    for (let i = 0; i < 60; i++) runs.push(await send(`run-${i}`, `message ${i}`, `s${i % 6}`));
    for (const run of runs) expect(await ended(run)).toMatchObject({ status: "succeeded", attempt: 1 });
    for (let session = 0; session < 6; session++) {
      const expected = runs
        .filter((_run, i) => i % 6 === session)
        .flatMap((run) => [`message ${run.slice(4)}`, `half of ${run}, and the rest`]);
      expect(await transcript(`s${session}`)).toEqual(expected);
    }
  });

  it("go on with the runs of a process that was killed, and followers get one text", async () => {
    const { send, ended, heard, events, transcript } = await setup();
    const first = await startProcess("w1");
    const run = await send("run-1", "please hang");
    const next = await send("run-2", "and then");
    await heard(run, "half of run-1");
    await startProcess("w2");
    first.kill("SIGKILL");
    expect(await ended(run)).toMatchObject({ status: "succeeded", attempt: 2, failures: 1 });
    expect(await ended(next)).toMatchObject({ status: "succeeded", attempt: 1 });
    await heard(run, "half of run-1, and the rest");
    const second = events.filter((event) => event.runId === run && attemptOfRunSeq(event.runSeq) === 2);
    expect(second[0]?.body).toMatchObject({ type: "started", text: "" });
    expect(second.map((event) => placeOfRunSeq(event.runSeq))).toEqual(second.map((_event, i) => i + 1));
    expect(await transcript()).toHaveLength(4);
  });

  it("change nothing when they wake from a pause past their lease, and go on under a new id", async () => {
    const { send, ended, heard, transcript, events } = await setup();
    const first = await startProcess("w1");
    const { worker: oldId } = await registered(stores.ledger, "w1");
    const run = await send("run-1", "please hang");
    await heard(run, "half of run-1");
    first.kill("SIGSTOP");
    await stores.passTime(11_000); // its lock stands, as its connection does: only the TTL tells
    await startProcess("w2");
    expect(await ended(run)).toMatchObject({ status: "succeeded", attempt: 2 });
    const before = await transcript();
    first.kill("SIGCONT");
    await registered(stores.ledger, "w1", oldId);
    expect(await transcript()).toEqual(before);
    const finals = events.filter((event) => event.runId === run && event.body.type === "final");
    expect(finals).toHaveLength(1);
  });

  it("hand their runs over when they are told to end, and leave nothing behind", async () => {
    const { send, ended, heard } = await setup();
    const first = await startProcess("leaving");
    const run = await send("run-1", "please hang");
    await heard(run, "half of run-1");
    await startProcess("staying");
    first.kill("SIGTERM");
    const [code] = (await once(first, "exit")) as [number | null];
    expect(code).toBe(0);
    expect((await stores.ledger.workers()).map(({ instance }) => instance)).not.toContain("leaving");
    expect(await ended(run)).toMatchObject({ status: "succeeded", attempt: 2, failures: 0 });
  });

  it("go on while Redis is dead, and with it when it is back and empty", async () => {
    const { send, ended } = await setup();
    await startProcess("w1");
    expect(await ended(await send("run-1", "before"))).toMatchObject({ status: "succeeded" });
    await redis.kill();
    expect(await ended(await send("run-2", "meanwhile"))).toMatchObject({ status: "succeeded" });
    await redis.start();
    await until(() => queue.epoch("shared").catch(() => null));
    expect(await ended(await send("run-3", "after"))).toMatchObject({ status: "succeeded" });
  });
});
