import { describe, expect, it, onTestFinished } from "vitest";
import { scriptedAgentRuntime, type Script } from "../adapters/scripted-agent/agent-runtime.ts";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { gatewayPool } from "../testing/gateway-pool.ts";
import { idempotentCounter } from "../testing/test-tools.ts";
import { until } from "../testing/until.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { inProcessKeeper, ledgerHeartbeatLink } from "../worker/keep-lease.ts";
import { startWorker } from "../worker/main.ts";
import { assembleGateway } from "./assemble.ts";
import { lookOnce } from "./run-watcher.ts";

const MAIN = "agent:main:main";

/** Two gateways with a client each, and a worker whose runs follow the script. */
async function setup(script: Script) {
  const pool = await gatewayPool();
  const deps = pool.deps();
  const { gateway } = assembleGateway(deps);
  const other = assembleGateway(pool.deps({ instance: "gateway-2" })).gateway;
  const { clock, random } = pool;
  const ledger = pool.ledger.port;
  const worker = await startWorker({
    ...deps,
    bus: pool.bus.port,
    vault: { credential: () => Promise.resolve(null) },
    runtime: scriptedAgentRuntime({ clock, script }),
    tools: () => [idempotentCounter().tool],
    keepLease: inProcessKeeper({ link: () => ledgerHeartbeatLink(ledger), clock, random }),
    instance: "worker-1",
    pools: ["shared"],
    slots: 8,
    backUpSweep: false,
  });
  onTestFinished(() => worker.close());
  await worker.registered();
  return { pool, gateway, other, client: await connectWire(gateway), elsewhere: await connectWire(other) };
}

/** The first call of k1 waits at a door and then uses a tool; every other call is answered with the run's name. */
async function toolRun() {
  const door = gate();
  const world = await setup(({ runId }, answered) =>
    runId === "k1" && answered === 0 ? [{ gate: door }, { call: "mark" }] : [{ say: `answer of ${runId}` }],
  );
  return { ...world, door };
}

const send = (client: WireClient, key: string, more: Readonly<Record<string, unknown>> = {}) =>
  client.ok("chat.send", { sessionKey: "main", message: `text of ${key}`, idempotencyKey: key, ...more });

const historyOf = (client: WireClient) =>
  client.ok("chat.history", { sessionKey: "main" }) as Promise<{
    messages: { role: string; content: unknown }[];
    pendingInputs: { items: { runId: string; state: string }[]; total: number };
  }>;

/** All that a client was told of a run. */
const framesOf = (client: WireClient, runId: string) =>
  client.frames.filter(
    ({ event, payload }) => (event === "chat" || event === "agent") && payload?.["runId"] === runId,
  );

describe("queueMode steer", () => {
  it("ends the message's run with one empty final, on every gateway, and answers both in one", async () => {
    const { pool, client, elsewhere, door } = await toolRun();
    await elsewhere.ok("sessions.messages.subscribe", { key: MAIN });
    await send(client, "k1");
    await door.reached;
    expect(await send(elsewhere, "k2", { queueMode: "steer" })).toEqual({ runId: "k2", status: "started" });
    expect((await historyOf(client)).pendingInputs).toMatchObject({
      items: [{ runId: "k2", state: "queued" }],
      total: 1,
    });
    door.open();
    for (const each of [client, elsewhere]) {
      expect(await each.end("k1")).toMatchObject({ state: "final", message: { role: "assistant" } });
      const end = await each.end("k2");
      expect(end).toMatchObject({ state: "final", sessionKey: MAIN, seq: 1 });
      expect(Object.keys(end)).not.toEqual(expect.arrayContaining(["message"]));
      expect(framesOf(each, "k2")).toHaveLength(1);
    }
    const { messages, pendingInputs } = await historyOf(client);
    expect(pendingInputs.total).toBe(0);
    expect(messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "toolResult",
      "user",
      "assistant",
    ]);
    expect(messages[3]).toMatchObject({
      content: "text of k2",
      idempotencyKey: "k2:user",
      __openclaw: { steerTargetRunId: "k1", idempotencyKey: "k2:user" },
    });
    expect(messages[0]).not.toHaveProperty("__openclaw.steerTargetRunId");
    const told = elsewhere.events("session.message").map(({ payload }) => payload?.["message"]);
    expect(told).toContainEqual(expect.objectContaining({ content: "text of k2" }));
    // Whoever asks later is answered at once.
    expect(await send(client, "k2")).toEqual({ runId: "k2", status: "ok" });
    expect(await client.ok("agent.wait", { runId: "k2" })).toMatchObject({
      status: "ok",
      stopReason: "steered",
      mergedInto: "k1",
    });
    expect(framesOf(client, "k2")).toHaveLength(1);
    const third = await connectWire(assembleGateway(pool.deps({ instance: "gateway-3" })).gateway);
    const follow = third.send("openclaw-ha.runs.follow", { runId: "k2", afterRunSeq: 0 });
    expect((await third.response(follow)).payload).toMatchObject({ status: "ok", runStatus: "succeeded" });
    expect(await third.end("k2")).not.toHaveProperty("message");
    expect(framesOf(third, "k2")).toHaveLength(1);
  });

  it("is read from the ledger where nobody tells of it", async () => {
    const { pool, gateway, client, door } = await toolRun();
    await send(client, "k1");
    await door.reached;
    await send(client, "k2", { queueMode: "steer" });
    const waiting = client.ok("agent.wait", { runId: "k2" });
    pool.link.deaf = true;
    door.open();
    await until(
      async () =>
        (await pool.ledger.port.list(client.connection.tenant!, { limit: 9, status: ["succeeded"] }))
          .length === 2,
    );
    pool.link.busHealthy = false;
    await until(async () => {
      await lookOnce({ ...gateway });
      return framesOf(client, "k2").length > 0;
    });
    expect(framesOf(client, "k2")).toMatchObject([{ event: "chat", payload: { state: "final" } }]);
    expect(framesOf(client, "k2")[0]?.payload).not.toHaveProperty("message");
    expect(await waiting).toMatchObject({ status: "ok" });
  });

  it("is what the session says, where a message says nothing", async () => {
    const { client, door } = await toolRun();
    await send(client, "k1");
    await door.reached;
    await client.ok("sessions.patch", { key: "main", queueMode: "steer" });
    expect(await client.ok("sessions.describe", { key: "main" })).toMatchObject({
      session: { effectiveQueueMode: "steer" },
    });
    await send(client, "k2");
    // Somebody who waits for the answer to his message gets one, whatever the session says.
    const asked = client.send("agent", { message: "text of k3", sessionKey: "main", idempotencyKey: "k3" });
    door.open();
    expect(await client.end("k2")).not.toHaveProperty("message");
    expect((await client.response(asked, 2)).payload).toMatchObject({
      status: "ok",
      result: { payloads: [{ text: "answer of k3" }] },
    });
  });

  it("is what the configuration says, where neither says anything", async () => {
    const { client, door } = await toolRun();
    await send(client, "k1");
    await door.reached;
    await send(client, "k2"); // the configuration of these tests says followup
    door.open();
    expect(await client.end("k2")).toMatchObject({ message: { content: [{ text: "answer of k2" }] } });
  });
});

describe("queueMode collect", () => {
  it("makes one turn of what waits, and names who sent it", async () => {
    const { client, elsewhere, door } = await toolRun();
    await send(client, "k1");
    await door.reached;
    await send(client, "k2", { queueMode: "collect" });
    await send(elsewhere, "k3", { queueMode: "collect" });
    door.open();
    for (const each of [client, elsewhere]) {
      expect(await each.end("k2")).toMatchObject({ message: { content: [{ text: "answer of k2" }] } });
      expect(await each.end("k3")).not.toHaveProperty("message");
      expect(framesOf(each, "k3")).toHaveLength(1);
    }
    expect((await historyOf(client)).messages.at(-2)?.content).toBe(
      "[Queued messages while agent was busy]\n\n---\nQueued #1 (from gateway-client)\ntext of k2" +
        "\n\n---\nQueued #2 (from gateway-client)\ntext of k3",
    );
  });
});

describe("queueMode interrupt", () => {
  it("of two at the same instant aborts the run at once, acknowledges both and answers both in order", async () => {
    const door = gate();
    const { pool, client, elsewhere } = await setup(({ runId }) =>
      runId === "k1" ? [{ say: "half an answer" }, { gate: door }] : [{ say: `answer of ${runId}` }],
    );
    await send(client, "k1");
    await door.reached;
    const both = [
      send(client, "k2", { queueMode: "interrupt" }),
      send(elsewhere, "k3", { queueMode: "interrupt" }),
    ];
    for (const acked of await Promise.all(both)) expect(acked).toMatchObject({ status: "started" });
    expect(pool.bus.calls).toContain("signal");
    for (const each of [client, elsewhere]) {
      expect(await each.end("k1")).toMatchObject({
        state: "aborted",
        message: { content: [{ text: "half an answer" }] },
      });
      for (const key of ["k2", "k3"]) {
        const text = `answer of ${key}`;
        expect(await each.end(key)).toMatchObject({ state: "final", message: { content: [{ text }] } });
      }
    }
    const order = (await historyOf(client)).messages.flatMap(({ role, content }) =>
      role === "user" ? [content] : [],
    );
    expect(order).toHaveLength(3);
    const seen = client.frames
      .filter(({ payload }) => payload?.["state"] === "final")
      .map(({ payload }) => payload?.["runId"]);
    expect(order.slice(1)).toEqual(seen.map((key) => `text of ${String(key)}`));
  });
});
