import { describe, expect, it } from "vitest";
import type { RunId } from "../core/ids.ts";
import { subagentId, subagentSessionKey } from "../core/subagent.ts";
import { type FakeClock, fakeClock } from "../testing/fake-clock.ts";
import { ACME, gatewayPool, type Hand, handWorker } from "../testing/gateway-pool.ts";
import { until } from "../testing/until.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const MAIN = "agent:main:main";

const setup = async (clock?: FakeClock) => {
  const pool = await gatewayPool({ clock });
  const { gateway } = assembleGateway(pool.deps());
  const other = assembleGateway(pool.deps({ instance: "gateway-2" })).gateway;
  const client = await connectWire(gateway);
  const elsewhere = await connectWire(other);
  const hand = await handWorker(pool);
  const send = (key: string) =>
    client.ok("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: key });
  return { pool, client, elsewhere, hand, send };
};

/** A subagent that the run under way spawns; it waits for a worker. */
async function spawnBy({ pool }: Awaited<ReturnType<typeof setup>>, { grant }: Hand): Promise<RunId> {
  const id = subagentId(ACME, grant.runId, "call-1");
  const key = subagentSessionKey(grant.agentId, id);
  const { tenant, runId, sessionKey } = grant;
  const answer = await pool.subagents.spawn({
    grant,
    child: {
      tenant,
      runId: id,
      sessionKey: key,
      requesterRunId: runId,
      requesterKey: sessionKey,
      task: "count",
      label: null,
      cleanup: "keep",
    },
    accept: {
      tenant,
      runId: id,
      sessionKey: key,
      agentId: grant.agentId,
      lane: "subagent",
      requestHash: "0".repeat(64),
      input: { body: { inline: { role: "user", content: "count", timestamp: 1 } }, options: {} },
      newSessionId: id,
    },
    maxDepth: 1,
    maxOpen: 1,
  });
  expect(answer.kind).toBe("spawned");
  return id;
}

/** Where in the stream of frames the run's end and the response lie. */
const order = (client: WireClient, runId: string, id: string) => ({
  end: client.frames.findIndex(
    ({ event, payload }) =>
      event === "chat" && payload?.["runId"] === runId && payload["state"] === "aborted",
  ),
  response: client.frames.findIndex((frame) => frame.id === id),
});

describe("chat.abort", () => {
  it("ends a run that no worker has, tells every gateway's clients, and then answers", async () => {
    const { client, elsewhere, send } = await setup();
    await send("k1");
    const id = client.send("chat.abort", { sessionKey: "main", runId: "k1" });
    expect((await client.response(id)).payload).toEqual({ ok: true, aborted: true, runIds: ["k1"] });
    const { end, response } = order(client, "k1", id);
    expect(end).toBeGreaterThan(-1);
    expect(end).toBeLessThan(response);
    expect(await elsewhere.end("k1")).toMatchObject({ state: "aborted", stopReason: "rpc" });
    expect(client.chats("k1", "aborted")).toHaveLength(1);
  });

  it("of a queued run tells this gateway's clients also while the bus is away", async () => {
    const { client, pool, send } = await setup();
    await send("k1");
    pool.bus.break("before");
    const id = client.send("chat.abort", { sessionKey: "main", runId: "k1" });
    expect((await client.response(id)).payload).toMatchObject({ aborted: true });
    const { end, response } = order(client, "k1", id);
    expect(end).toBeGreaterThan(-1);
    expect(end).toBeLessThan(response);
  });

  it("signals the worker of a running one, and answers after its end with the partial text", async () => {
    const { client, pool, hand, send } = await setup();
    await send("k1");
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "half" });
    const signals: string[] = [];
    await pool.bus.port.subscribeSignals(hand.worker, (signal) => {
      signals.push(`${signal.type} ${signal.runId}`);
      void run.end("aborted", { text: "half" });
    });
    const id = client.send("chat.abort", { sessionKey: "main" });
    expect((await client.response(id)).payload).toEqual({ ok: true, aborted: true, runIds: ["k1"] });
    expect(signals).toEqual(["abort k1"]);
    const { end, response } = order(client, "k1", id);
    expect(end).toBeLessThan(response);
    expect(await client.end("k1")).toMatchObject({ message: { content: [{ type: "text", text: "half" }] } });
  });

  it("without runId ends every open run of the session; a worker that does not react is not waited for", async () => {
    const clock = fakeClock();
    const { client, hand, send } = await setup(clock);
    await send("k1");
    await hand.claim(MAIN);
    await send("k2");
    const waiting = clock.sleepers();
    const id = client.send("chat.abort", { sessionKey: "main", preserveSideRuns: true });
    await until(() => clock.sleepers() > waiting);
    expect(client.responses(id)).toEqual([]);
    await clock.advance(2_000);
    const answer = (await client.response(id)).payload;
    expect(answer).toEqual({ ok: true, aborted: true, runIds: ["k1", "k2"] });
    await client.end("k2");
    expect(client.chats("k1", "aborted")).toEqual([]);
  });

  it("of what is not open says so", async () => {
    const { client, hand, send } = await setup();
    await send("k1");
    await (await hand.claim(MAIN)).finish("hi");
    for (const params of [{ runId: "k1" }, { runId: "unknown" }, {}]) {
      expect(await client.ok("chat.abort", { sessionKey: "main", ...params })).toEqual({
        ok: true,
        aborted: false,
        runIds: [],
      });
    }
  });

  it("of a run of another session is refused", async () => {
    const { client, send } = await setup();
    await send("k1");
    const response = await client.request("chat.abort", { sessionKey: "elsewhere", runId: "k1" });
    expect(response.error).toMatchObject({
      code: "INVALID_REQUEST",
      message: "runId does not match sessionKey",
    });
  });
});

describe("sessions.abort", () => {
  it("names the run it ended, or that there was none", async () => {
    const { client, send } = await setup();
    await send("k1");
    expect(await client.ok("sessions.abort", { key: "main" })).toMatchObject({
      ok: true,
      abortedRunId: "k1",
      status: "aborted",
    });
    expect(await client.ok("sessions.abort", { key: "main" })).toEqual({
      ok: true,
      abortedRunId: null,
      status: "no-active-run",
    });
    expect((await client.request("sessions.abort", {})).error?.message).toBe("key or runId required");
  });
});

describe("the subagent of a run under way", () => {
  const interrupting = {
    sessionKey: "main",
    message: "rather this",
    idempotencyKey: "i",
    queueMode: "interrupt",
  };
  it.each<[string, string, object, string]>([
    ["ends with it at chat.abort", "chat.abort", { sessionKey: "main", runId: "k1" }, "aborted"],
    ["goes on at chat.abort of another run", "chat.abort", { sessionKey: "main", runId: "k2" }, "queued"],
    ["goes on at chat.abort without a run", "chat.abort", { sessionKey: "main" }, "queued"],
    ["goes on when its run is interrupted", "chat.send", interrupting, "queued"],
    ["ends at sessions.abort", "sessions.abort", { key: "main" }, "aborted"],
    ["ends at /stop", "chat.send", { sessionKey: "main", message: "/stop", idempotencyKey: "s" }, "aborted"],
    ["ends at a reset", "sessions.reset", { key: "main" }, "aborted"],
  ])("%s", async (_what, name, params, expected) => {
    const world = await setup();
    const { pool, client, elsewhere, hand } = world;
    await world.send("k1");
    const run = await hand.claim(MAIN);
    const child = await spawnBy(world, run);
    await world.send("k2");
    await pool.bus.port.subscribeSignals(hand.worker, () => void run.end("aborted"));
    await client.ok(name, params);
    expect((await pool.ledger.port.get(ACME, child))?.status).toBe(expected);
    const ends = () => elsewhere.chats(child, "aborted").length;
    await until(() => ends() === (expected === "aborted" ? 1 : 0), { what: "the end on another gateway" });
  });
});
