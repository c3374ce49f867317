import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { noEventBus } from "../adapters/none/event-bus.ts";
import { noRunQueue } from "../adapters/none/run-queue.ts";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryScalingStore } from "../adapters/memory/scaling-store.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { startControl } from "../control/main.ts";
import { agentId, type RunId, runId, sessionKey, type TenantId, tenantId } from "../core/ids.ts";
import { isEnded } from "../core/run-state.ts";
import { announcementId } from "../core/subagent.ts";
import { messageText } from "../core/transcript.ts";
import { type DemoModelHandle, startDemoModel } from "../demo-model/main.ts";
import type { StoreFixture } from "../ports/contract/store-fixture.ts";
import { demoCatalog } from "../testing/demo-catalog.ts";
import { openPostgresStores } from "../testing/postgres-stores.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { startWorkerProcess } from "../testing/start-worker-process.ts";
import { type TestDatabase, testPostgres } from "../testing/services.ts";
import { until } from "../testing/until.ts";

const PARENT = sessionKey("agent:main:main");

let database: TestDatabase;
let stores: StoreFixture;
let model: DemoModelHandle;
let tenants = 0;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  stores = await openPostgresStores(database);
  model = await startDemoModel({ host: "127.0.0.1", port: 0, logger: recordingLogger() });
});

afterAll(async () => {
  await model?.close();
  await stores?.close();
  await database?.drop();
});

const startWorker = (instance: string, dies = ""): Promise<ChildProcess> =>
  startWorkerProcess(stores.ledger, "agent-process.ts", {
    POSTGRES_URL: database.url,
    MODEL_URL: model.url,
    INSTANCE: instance,
    DIES: dies,
  });

async function setup() {
  const tenant: TenantId = tenantId(`t${++tenants}`);
  await stores.directory.addTenant(tenant, "shared");
  const control = await startControl({
    ...stores,
    queue: noRunQueue(),
    bus: noEventBus(),
    objects: memoryObjectStore(),
    scaling: memoryScalingStore({ clock: systemClock }),
    catalog: demoCatalog(model.url),
    instance: "control-1",
    clock: systemClock,
    random: seededRandom(3),
    logger: recordingLogger(),
    pools: ["shared"],
  });
  onTestFinished(() => control.close());
  const send = async (text: string): Promise<RunId> => {
    const id = runId("parent");
    await stores.ledger.accept([
      {
        tenant,
        runId: id,
        sessionKey: PARENT,
        agentId: agentId("main"),
        lane: "main",
        requestHash: "0".repeat(64),
        input: { body: { inline: { role: "user", content: text, timestamp: 1 } }, options: {} },
        newSessionId: "parent-id",
      },
    ]);
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
  /** The only child there is, and the only run that has announced it; each with its end. */
  const outcome = async () => {
    const children = await stores.subagents.list(tenant, { limit: 10 });
    expect(children).toHaveLength(1);
    const { child } = children[0]!;
    const announcement = await until(() => stores.ledger.get(tenant, announcementId(child)), {
      timeoutMs: 15_000,
      what: "the announcement",
    });
    await ended(announcement.runId);
    const runs = await stores.ledger.list(tenant, { limit: 50 });
    expect(runs.map((run) => run.runId).toSorted()).toEqual(
      ["parent", child.runId, announcement.runId].toSorted(),
    );
    expect(runs.map(({ status }) => status)).toEqual(["succeeded", "succeeded", "succeeded"]);
    const { rows } = await stores.sessions.history(tenant, PARENT, { limit: 100 });
    const texts = rows.map(({ body }) => ("inline" in body ? messageText(body.inline) : "an object"));
    return { child, texts, childRun: children[0]!.run };
  };
  return { tenant, send, ended, outcome };
}

// The demo model calls the tool where the message tells it to, and then says what comes second.
const SPAWNING =
  '[[demo tool=sessions_spawn{"task":"count to three","label":"counting"}]] [[demo text="On it."]]';

describe("subagents on PostgreSQL", () => {
  it("are one child and one announcement when the worker dies between the spawn and its record", async () => {
    const { send, ended, outcome } = await setup();
    const first = await startWorker("dying", "after-spawn");
    const parent = await send(SPAWNING);
    await once(first, "exit");
    await startWorker("living");
    expect(await ended(parent)).toMatchObject({
      status: "succeeded",
      attempt: 2,
      result: { text: "On it." },
    });
    const { child, texts } = await outcome();
    expect(child).toMatchObject({ requesterRunId: parent, requesterKey: PARENT, task: "count to three" });
    const [asked, , toolResult, answered, announced, told] = texts;
    expect(asked).toBe(SPAWNING);
    expect(JSON.parse(toolResult!)).toMatchObject({
      status: "accepted",
      childSessionKey: child.sessionKey,
      runId: child.runId,
    });
    expect(answered).toBe("On it.");
    expect(announced).toContain("[Internal task completion event]");
    expect(announced).toContain("task: counting");
    expect(announced).toContain("You said: [Subagent Context]");
    expect(told).toMatch(/^My subagent "counting" has ended: completed\.\n\nYou said: \[Subagent Context\]/);
  });

  it("are announced once when the worker dies between the child's end and the announcement", async () => {
    const { send, ended, outcome } = await setup();
    const first = await startWorker("silent", "before-announce");
    const parent = await send(SPAWNING);
    await once(first, "exit");
    await startWorker("speaking");
    await ended(parent);
    const { childRun, texts } = await outcome();
    expect(childRun).toMatchObject({ status: "succeeded", lane: "subagent" });
    expect(texts.filter((text) => text.startsWith("<<<BEGIN_OPENCLAW_INTERNAL"))).toHaveLength(1);
  });

  it("are stopped with their parent when the worker of both dies, and so does the gateway after its commit", async () => {
    const { tenant, send, ended } = await setup();
    const first = await startWorker("busy");
    const parent = await send(
      '[[demo tool=sessions_spawn{"task":"[[demo chunks=500 delay=200]] count","label":"counting"}]] ' +
        '[[demo chunks=500 delay=200 text="I am waiting for the end of all numbers."]]',
    );
    const { run } = await until(
      async () =>
        (await stores.subagents.list(tenant, { limit: 1 })).find((one) => one.run.status === "running"),
      { timeoutMs: 20_000, what: "the child at work" },
    );
    first.kill("SIGKILL");
    await stores.ledger.abort(tenant, { runId: parent, stopSubagents: true });
    await startWorker("next");
    expect(await ended(parent)).toMatchObject({ status: "aborted" });
    expect(await ended(run.runId)).toMatchObject({ status: "aborted" });
    await until(async () => (await stores.subagents.stopping(1, tenant)).length === 0, {
      what: "the note of the stop",
    });
    await until(async () => (await stores.subagents.ended(1, { tenant, runId: run.runId })).length === 0, {
      what: "that it was looked at",
      timeoutMs: 10_000,
    });
    const runs = await stores.ledger.list(tenant, { limit: 10 });
    expect(runs.map(({ runId: id }) => id).toSorted()).toEqual([parent, run.runId].toSorted());
  });
});
