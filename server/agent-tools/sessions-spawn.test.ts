import { describe, expect, it } from "vitest";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryRunLedger } from "../adapters/memory/run-ledger.ts";
import { memorySessionStore } from "../adapters/memory/session-store.ts";
import { memoryStoreState } from "../adapters/memory/state.ts";
import { memorySubagentStore } from "../adapters/memory/subagent-store.ts";
import { memoryTenantDirectory } from "../adapters/memory/tenant-directory.ts";
import { bodyStore } from "../bodies/body-store.ts";
import type { AgentCatalog } from "../core/catalog.ts";
import { agentId, runId, sessionKey, tenantId, workerId } from "../core/ids.ts";
import type { Grant } from "../ports/run-ledger.ts";
import type { ReadySession } from "../ports/run-queue.ts";
import { breakable } from "../testing/breakable.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { agentTools } from "./registry.ts";

const ACME = tenantId("acme");
const PARENT = sessionKey("agent:main:main");

const setup = async (over: Partial<AgentCatalog> = {}, allowed: readonly string[] = []) => {
  const clock = fakeClock();
  const state = memoryStoreState({ clock });
  const ledger = memoryRunLedger(state);
  await memoryTenantDirectory(state).addTenant(ACME, "shared");
  const subagents = breakable(memorySubagentStore(state));
  const [main] = TEST_CATALOG.agents;
  const catalog: AgentCatalog = {
    ...TEST_CATALOG,
    agents: [
      { ...main!, subagentsAllowed: allowed },
      { ...main!, id: agentId("work"), name: "Work" },
    ],
    ...over,
  };
  const woken: ReadySession[] = [];
  const bodies = bodyStore({ objects: memoryObjectStore(), clock, logger: recordingLogger() });
  const tools = agentTools({
    subagents: subagents.port,
    bodies,
    queue: {
      enqueue: async (sessions) => (
        woken.push(...sessions),
        sessions.map(() => ({ added: true, backlog: 0 }))
      ),
    },
    bus: { notify: () => Promise.reject(new Error("the bus is away")) },
    catalog,
    clock,
    random: seededRandom(1),
  });
  const worker = workerId("w.1");
  await ledger.registerWorker({ worker, instance: "w", pools: ["shared"], slots: 9 }, "held");
  const claim = async (key = PARENT): Promise<Grant> => {
    const [claimed] = await ledger.claim(worker, [{ tenant: ACME, sessionKey: key }]);
    if (claimed?.kind !== "granted") throw new Error(`nothing to do in ${key}`);
    return claimed.grant;
  };
  await ledger.accept([
    {
      tenant: ACME,
      runId: runId("parent"),
      sessionKey: PARENT,
      agentId: agentId("main"),
      lane: "main",
      requestHash: "0".repeat(64),
      input: { body: { inline: { role: "user", content: "go", timestamp: 1 } }, options: {} },
      newSessionId: "s",
    },
  ]);
  const grant = await claim();
  const [tool] = tools(grant);
  const call = async (args: object, id = "call-1", signal = new AbortController().signal) => {
    const { text, isError = false } = await tool!.execute({ id, args }, signal);
    const answer = JSON.parse(text) as Record<string, unknown>;
    return { ...answer, isError } as Record<string, unknown>;
  };
  const children = () => subagents.port.list(ACME, { limit: 99 });
  return { clock, state, ledger, subagents, woken, tools, tool: tool!, call, claim, grant, children };
};

describe("sessions_spawn", () => {
  it("starts a run in a session of its own and answers at once", async () => {
    const { state, call, claim, children, woken, tool } = await setup();
    expect(tool).toMatchObject({ name: "sessions_spawn", idempotent: true });
    const answer = await call({ task: " count ", label: "counting", thinking: "low", runTimeoutSeconds: 9 });
    const [one] = await children();
    expect(answer).toMatchObject({
      status: "accepted",
      childSessionKey: one!.child.sessionKey,
      runId: one!.child.runId,
      isError: false,
    });
    expect(one!.child).toMatchObject({
      requesterKey: PARENT,
      requesterRunId: "parent",
      task: "count",
      cleanup: "keep",
    });
    expect(one!.child.sessionKey).toMatch(
      /^agent:main:subagent:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(woken).toMatchObject([{ sessionKey: one!.child.sessionKey, lane: "subagent" }]);
    const grant = await claim(one!.child.sessionKey);
    expect(grant.input.options).toEqual({ thinking: "low", timeoutMs: 9_000 });
    expect(JSON.stringify(grant.input.body)).toMatch(/\[Subagent Task\]\\n\\ncount\\n/);
    expect(await memorySessionStore(state).get(ACME, one!.child.sessionKey)).toMatchObject({
      label: "counting",
    });
  });

  it("puts a long task into an object before the child is accepted", async () => {
    const { call, claim } = await setup();
    const { childSessionKey } = await call({ task: "x".repeat(100_000) });
    const { input } = await claim(sessionKey(String(childSessionKey)));
    expect(input.body).toMatchObject({ object: { bytes: expect.any(Number) as number } });
  });

  it("makes one child of one call, however often it is executed, and another one of the next", async () => {
    const { call, children } = await setup();
    const first = await call({ task: "count" });
    expect(await call({ task: "count" })).toEqual(first);
    expect(await call({ task: "count" }, "call-2")).not.toEqual(first);
    expect(await children()).toHaveLength(2);
  });

  it("waits for a store that is away, and knows the child that it had made before", async () => {
    const { clock, call, children, subagents } = await setup();
    subagents.break("after", ["spawn"], 2);
    const calling = call({ task: "count" });
    for (let n = 0; n < 5; n++) await clock.advance(3_000);
    expect(await calling).toMatchObject({ status: "accepted" });
    expect(await children()).toHaveLength(1);
  });

  it("gives up with its run", async () => {
    const { clock, call, subagents } = await setup();
    subagents.break("before", ["spawn"]);
    const stop = new AbortController();
    const calling = call({ task: "count" }, "call-1", stop.signal);
    await clock.advance(500);
    stop.abort();
    await expect(calling).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("calls another agent only where its own may", async () => {
    const strict = await setup();
    expect(await strict.call({ task: "x", agentId: "work" })).toEqual({
      status: "forbidden",
      error: "agentId is not allowed for sessions_spawn (allowed: main)",
      isError: true,
    });
    const named = await setup({}, ["work"]);
    expect(await named.call({ task: "x", agentId: "Work" })).toMatchObject({
      childSessionKey: expect.stringMatching(/^agent:work:subagent:/) as string,
    });
    const all = await setup({}, ["*"]);
    expect(await all.call({ task: "x", agentId: "work" })).toMatchObject({ status: "accepted" });
    expect(await all.call({ task: "x", agentId: "nobody" })).toMatchObject({
      status: "forbidden",
      error: 'agentId "nobody" is not configured (allowed: main, work)',
    });
  });

  it("keeps to the limits of depth and number, and says which", async () => {
    const { call, claim, tools } = await setup({ subagents: { maxSpawnDepth: 1, maxChildren: 1 } });
    const { childSessionKey } = await call({ task: "x" });
    expect(await call({ task: "y" }, "call-2")).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("maxChildrenPerAgent") as string,
    });
    const [tool] = tools(await claim(sessionKey(String(childSessionKey))));
    const { text, isError } = await tool!.execute(
      { id: "c", args: { task: "z" } },
      new AbortController().signal,
    );
    expect({ text, isError }).toEqual({
      text: expect.stringContaining("current depth: 1, max: 1") as string,
      isError: true,
    });
  });

  it("refuses an unknown model, and arguments that are none", async () => {
    const { call, children } = await setup();
    expect(await call({ task: "x", model: "a/b" })).toMatchObject({ status: "error", isError: true });
    await expect(call({ task: "  " })).rejects.toThrow(/task/);
    expect(await children()).toEqual([]);
  });

  it("spawns nothing for a run that another worker has", async () => {
    const { call, ledger, grant, claim, children } = await setup();
    await ledger.release([grant]);
    await claim();
    await expect(call({ task: "x" })).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await children()).toEqual([]);
  });
});
