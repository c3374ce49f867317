import { setImmediate as passOver } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runId } from "../core/ids.ts";
import { attemptOfRunSeq, runSeqOf } from "../core/run-event.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { ACME, gatewayPool, handWorker, OTHER_TOKEN } from "../testing/gateway-pool.ts";
import { until } from "../testing/until.ts";
import { connectWire, type ConnectOptions, type WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";
import { lookOnce } from "./run-watcher.ts";

const MAIN = "agent:main:main";
const CHUNKS = ["one", " two", " three", " four"] as const;
const WHOLE = CHUNKS.join("");

const setup = async (options: { readonly clock?: ReturnType<typeof fakeClock> } = {}) => {
  const pool = await gatewayPool(options);
  const { gateway } = assembleGateway(pool.deps());
  const hand = await handWorker(pool);
  const connect = (more: ConnectOptions = {}) => connectWire(gateway, more);
  const client = await connect();
  const send = async (key: string, more: Readonly<Record<string, unknown>> = {}, from = client) =>
    from.ok("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: key, ...more });
  const start = async (key: string, session = MAIN) => {
    await send(key, { sessionKey: session });
    return hand.claim(session);
  };
  return { pool, gateway, hand, client, connect, send, start };
};

/** What happened to a client, in one word per frame. */
const story = (client: WireClient): string[] =>
  client.frames.flatMap(({ type, event, payload }) => {
    if (type !== "event" || event === "connect.challenge") return [];
    const { state, stream, data, reason, message } = (payload ?? {}) as {
      state?: string;
      stream?: string;
      data?: { phase?: string };
      reason?: string;
      message?: { role?: string };
    };
    if (event === "chat") return [`chat ${state}`];
    if (event === "agent") return [`agent ${stream}${data?.phase ? `/${data.phase}` : ""}`];
    if (event === "session.message") return [`row ${message?.role}`];
    return [`${event} ${reason ?? ""}`.trim()];
  });

const expectContiguous = (client: WireClient): void => {
  const seqs = client.frames.flatMap((frame) => (frame.seq === undefined ? [] : [frame.seq]));
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));
};

describe("one ordinary turn", () => {
  it("is told in OpenClaw's order, with contiguous seq", async () => {
    const { client, start } = await setup();
    await client.ok("sessions.messages.subscribe", { key: "main" });
    const run = await start("k1");
    await run.say(
      { type: "started", text: "", model: { provider: "demo", model: "one" } },
      { type: "message", row: run.grant.userRow },
    );
    for (const text of CHUNKS) await run.say({ type: "delta", text });
    await run.finish(WHOLE);
    await client.end("k1");
    const delta = ["agent assistant", "chat delta"];
    expect(story(client)).toEqual([
      "chat status",
      "agent run_status/preparing_context",
      "row user",
      "agent lifecycle/start",
      "chat status",
      "agent lifecycle/model",
      ...delta,
      ...delta,
      ...delta,
      ...delta,
      "row assistant",
      "agent lifecycle/end",
      "chat final",
    ]);
    expectContiguous(client);
  });

  it("carries cumulative messages, growing numbers and a final that equals the deltas", async () => {
    const { client, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" });
    for (const text of CHUNKS) await run.say({ type: "delta", text });
    await run.finish(WHOLE);
    const end = await client.end("k1");
    expect(end).toMatchObject({
      runId: "k1",
      sessionKey: MAIN,
      agentId: "main",
      state: "final",
      stopReason: "stop",
      message: { role: "assistant", content: [{ type: "text", text: WHOLE }] },
    });
    const deltas = client.chats("k1", "delta");
    expect(deltas.map(({ deltaText }) => deltaText)).toEqual(CHUNKS);
    expect(deltas.at(-1)).toMatchObject({ message: { content: [{ text: WHOLE }] } });
    expect(deltas.every((delta) => !("replace" in delta))).toBe(true);
    const seqs = client.chats("k1").map(({ seq, runSeq }) => [seq, runSeq] as [number, number]);
    for (const [i, [seq, runSeq]] of seqs.entries()) {
      expect(seq).toBe(runSeq);
      expect(seq).toBeGreaterThanOrEqual(seqs[i - 1]?.[0] ?? 0);
    }
  });

  it("rows carry what clients match them by", async () => {
    const { client, start } = await setup();
    await client.ok("sessions.subscribe");
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "message", row: run.grant.userRow });
    await run.finish("hi");
    await client.end("k1");
    const [user, assistant] = client.events("session.message").map((frame) => frame.payload);
    expect(user).toMatchObject({
      sessionKey: MAIN,
      messageSeq: 1,
      message: {
        role: "user",
        content: "hello",
        idempotencyKey: "k1:user",
        __openclaw: { seq: 1, idempotencyKey: "k1:user" },
      },
    });
    expect(assistant).toMatchObject({
      messageSeq: 2,
      message: { role: "assistant", __openclaw: { seq: 2, runId: "k1" } },
    });
  });

  it("that fails ends in one chat error with the cause", async () => {
    const { client, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" });
    await run.end("failed");
    expect(await client.end("k1")).toMatchObject({
      state: "error",
      errorMessage: "the model refused the key",
      errorDetail: { kind: "model_auth" },
    });
  });
});

describe("who hears what", () => {
  it("every reader of the tenant hears every run; other tenants and scopeless connections nothing", async () => {
    const { connect, start } = await setup();
    const reader = await connect({ scopes: ["operator.read"] });
    const writer = await connect({ scopes: ["operator.write"] });
    const scopeless = await connect({ scopes: [] });
    const stranger = await connect({ token: OTHER_TOKEN });
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "hi" });
    await run.finish("hi");
    await Promise.all([reader.end("k1"), writer.end("k1")]);
    for (const client of [scopeless, stranger]) {
      expect(client.frames.map((frame) => frame.event).filter(Boolean)).toEqual(["connect.challenge"]);
    }
  });

  it("cap session-scoped-events: only the sessions subscribed, until unsubscribed", async () => {
    const { connect, start } = await setup();
    const scoped = await connect({ caps: ["session-scoped-events"] });
    await scoped.ok("sessions.messages.subscribe", { key: "a" });
    for (const session of ["agent:main:a", "agent:main:b"]) {
      const run = await start(`run of ${session}`, session);
      await run.say({ type: "started", text: "" });
      await run.finish("hi");
    }
    await scoped.end("run of agent:main:a");
    expect(scoped.chats("run of agent:main:b")).toEqual([]);
    expect(await scoped.ok("sessions.messages.unsubscribe", { key: "a" })).toEqual({
      subscribed: false,
      key: "agent:main:a",
    });
    const told = scoped.events("chat").length;
    await (await start("later", "agent:main:a")).finish("hi");
    expect(scoped.events("chat")).toHaveLength(told);
  });

  it("rows and sessions.changed only to those that subscribed", async () => {
    const { client, connect, start } = await setup();
    const watcher = await connect();
    await watcher.ok("sessions.subscribe");
    const follower = await connect();
    await follower.ok("sessions.messages.subscribe", { key: "main" });
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "message", row: run.grant.userRow });
    await run.finish("hi");
    await until(() => watcher.events("sessions.changed").some((frame) => frame.payload?.["phase"] === "end"));
    expect(watcher.events("session.message")).toHaveLength(2);
    expect(follower.events("session.message")).toHaveLength(2);
    expect(follower.events("sessions.changed")).toEqual([]);
    expect(client.events("session.message")).toEqual([]);
    const reasons = watcher.events("sessions.changed").map((frame) => frame.payload?.["reason"]);
    expect(reasons).toEqual(["send", "agent.run.started", "agent.input.settled"]);
    expect(watcher.events("sessions.changed").at(-1)?.payload).toMatchObject({
      session: { key: MAIN, hasActiveRun: false, lastRunId: "k1" },
    });
  });

  it("full tool events only to the connection that asked, with the cap; the coarse ones to all", async () => {
    const { client, connect, hand, send } = await setup();
    const asking = await connect({ caps: ["tool-events"] });
    const capable = await connect({ caps: ["tool-events"] });
    await send("k1", {}, asking);
    const run = await hand.claim(MAIN);
    const call = { type: "tool", toolCallId: "c1", name: "add" } as const;
    await run.say(
      { type: "started", text: "" },
      { ...call, phase: "start", args: { a: 1 } },
      { ...call, phase: "result", result: "2" },
    );
    await run.finish("hi");
    await Promise.all([asking.end("k1"), capable.end("k1"), client.end("k1")]);
    const tools = (one: WireClient, stream: string) =>
      one.events("agent").filter((frame) => frame.payload?.["stream"] === stream);
    expect(tools(asking, "tool").map((frame) => frame.payload?.["data"])).toMatchObject([
      { phase: "start", args: { a: 1 } },
      { phase: "result", isError: false, result: { content: [{ type: "text", text: "2" }] } },
    ]);
    expect(tools(capable, "tool")).toEqual([]);
    for (const one of [asking, capable, client]) expect(tools(one, "item")).toHaveLength(2);

    await send("k2"); // asked by a connection without the cap
    const second = await hand.claim(MAIN);
    await second.say({ type: "started", text: "" }, { ...call, phase: "start" });
    await second.finish("hi");
    await client.end("k2");
    expect(tools(client, "tool")).toEqual([]);
  });
});

describe("a connection that comes in the middle of a run", () => {
  it("first hears the whole text with replace, then what follows", async () => {
    const { connect, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    const late = await connect();
    await run.say({ type: "delta", text: " two" });
    await run.say({ type: "delta", text: " three" });
    const deltas = late.chats("k1", "delta").map(({ deltaText, replace }) => [deltaText, replace]);
    expect(deltas).toEqual([
      ["one two", true],
      [" three", undefined],
    ]);
    await run.finish("one two three");
    await late.end("k1");
    expect(late.text("k1")).toBe("one two three");
    expectContiguous(late);
  });

  it("after all of its text was told hears the text before the end", async () => {
    const { connect, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one two" });
    const late = await connect();
    await run.finish("one two");
    await late.end("k1");
    expect(late.text("k1")).toBe("one two");
    expect(late.chats("k1").map(({ state }) => state)).toEqual(["delta", "final"]);
  });

  it("also where it is the first of its tenant on this gateway", async () => {
    const { pool, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    const late = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    await run.say({ type: "delta", text: " two" });
    await until(() => late.chats("k1", "delta").length > 0);
    expect(late.chats("k1", "delta")).toMatchObject([{ deltaText: "one two", replace: true }]);
    await run.finish("one two");
    await late.end("k1");
    expect(late.text("k1")).toBe("one two");
  });
});

describe("a client that moved here in the middle of a run", () => {
  it("hears of no number below the one it may have heard elsewhere", async () => {
    const { client, pool, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "message", row: run.grant.userRow });
    await run.say({ type: "delta", text: "one" });
    await until(() => client.text("k1") === "one");
    const heard = Math.max(...client.chats("k1").map(({ runSeq }) => Number(runSeq)));
    const moved = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    await run.say({ type: "delta", text: " two" });
    await until(() => moved.chats("k1", "delta").length > 0);
    const numbers = moved.chats("k1").map(({ runSeq }) => Number(runSeq));
    expect(numbers.filter((number) => number < heard)).toEqual([]);
    await run.finish("one two");
    await moved.end("k1");
    expect(moved.text("k1")).toBe("one two");
  });
});

describe("a client that has stopped reading", () => {
  it("loses pieces of the text but no end and no number, and is told the whole text next", async () => {
    const { client, connect, start } = await setup();
    const slow = await connect();
    const [one, two] = [await start("k1"), await start("k2", "agent:main:other")];
    slow.wire.stall();
    for (const run of [one, two])
      await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    for (const text of [" two", " three"]) await one.say({ type: "delta", text });
    await two.finish("one");
    await client.end("k2");
    slow.wire.resume();
    await one.say({ type: "delta", text: " four" });
    await one.finish(WHOLE);
    for (const reader of [client, slow]) {
      await reader.end("k1");
      expect(reader.chats("k2", "final")).toMatchObject([{ message: { content: [{ text: "one" }] } }]);
      expect(reader.text("k1")).toBe(WHOLE);
      expectContiguous(reader);
    }
    expect(client.chats("k1", "delta")).toHaveLength(4);
    expect(slow.chats("k1", "delta")).toMatchObject([{ deltaText: WHOLE, replace: true }]);
  });

  it("is told the whole text as soon as it reads again, even if the model says nothing more", async () => {
    const { client, connect, start } = await setup();
    const slow = await connect();
    const run = await start("k1");
    slow.wire.stall();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    for (const text of [" two", " three"]) await run.say({ type: "delta", text });
    expect(client.text("k1")).toBe("one two three");
    slow.wire.resume();
    await until(() => slow.text("k1") === "one two three");
    await run.say({ type: "delta", text: " four" });
    expect([client, slow].map((reader) => reader.text("k1"))).toEqual([WHOLE, WHOLE]);
    expect(client.chats("k1", "delta")).toHaveLength(4);
    expectContiguous(slow);
  });

  it("is told a text of which it has heard nothing in one piece before its end", async () => {
    const { connect, client, start } = await setup();
    const slow = await connect();
    const run = await start("k1");
    slow.wire.stall();
    await run.say({ type: "started", text: "" });
    await run.say({ type: "delta", text: "one" });
    await run.finish("one");
    await client.end("k1");
    slow.wire.resume();
    await slow.end("k1");
    expect(slow.chats("k1", "delta")).toMatchObject([{ deltaText: "one" }]);
    expect(slow.chats("k1", "final")).toMatchObject([{ message: { content: [{ text: "one" }] } }]);
    expectContiguous(slow);
  });
});

describe("texts that come faster than they are told", () => {
  it("are told in larger pieces", async () => {
    const { client, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" });
    await Promise.all(CHUNKS.map((text) => run.say({ type: "delta", text })));
    await run.finish(WHOLE);
    await client.end("k1");
    expect(client.chats("k1", "delta").map(({ deltaText }) => deltaText)).toEqual([WHOLE]);
  });

  it("so are thoughts, in their order among the other events", async () => {
    const { client, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" });
    await run.say(
      { type: "thinking", text: "let me" },
      { type: "thinking", text: " see" },
      { type: "tool", phase: "start", toolCallId: "1", name: "look" },
      { type: "thinking", text: "so" },
    );
    await run.finish("done");
    await client.end("k1");
    const streams = client
      .events("agent")
      .map(({ payload }) => payload as { stream: string; data: { delta?: string } })
      .filter(({ stream }) => stream === "thinking" || stream === "item")
      .map(({ stream, data }) => data.delta ?? stream);
    expect(streams).toEqual(["let me see", "item", "so"]);
  });
});

describe("events that are lost, late or doubled", () => {
  it("a gap is filled from the bus, in order and without doubles", async () => {
    const { client, pool, gateway, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" });
    await pool.unheard(() => run.say({ type: "delta", text: "one" }));
    await run.say({ type: "delta", text: " two" });
    await until(() => client.text("k1") === "one two");
    const { tenant, sessionKey, agentId, runId: id, token } = run.grant;
    const doubled = { tenant, sessionKey, agentId, runId: id, token, at: 0, runSeq: runSeqOf(1, 2) };
    gateway.hub.get(ACME)?.onEvents([{ ...doubled, body: { type: "delta", text: "one" } }]);
    await run.finish("one two");
    await client.end("k1");
    expect(client.chats("k1", "delta").map(({ deltaText }) => deltaText)).toEqual(["one two"]);
  });

  it("a gap that nobody can fill is bridged by the next event with the whole text", async () => {
    const { client, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    run.skip(2);
    await run.say({ type: "delta", text: " lost context" });
    await run.say({ type: "replace", text: "one two three" });
    await run.say({ type: "delta", text: " four" });
    await run.finish("one two three four");
    await client.end("k1");
    expect(client.text("k1")).toBe("one two three four");
    expect(client.chats("k1", "delta").some(({ deltaText }) => String(deltaText).includes("lost"))).toBe(
      false,
    );
  });

  it("a later attempt replaces the text, and its numbers go on growing", async () => {
    const clock = fakeClock();
    const { pool, client, start } = await setup({ clock });
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "first try" });
    await clock.advance(11_000); // past the lease: the first worker counts as dead
    await pool.ledger.port.sweep();
    const second = await (await handWorker(pool, "hand.2")).claim(MAIN);
    await second.say({ type: "started", text: "" }, { type: "delta", text: "second" });
    await run.say({ type: "delta", text: " from the dead" });
    await second.finish("second");
    const end = await client.end("k1");
    expect(client.text("k1")).toBe("second");
    expect(client.chats("k1", "delta").at(-1)).toMatchObject({ deltaText: "second", replace: true });
    expect(attemptOfRunSeq(end["runSeq"] as number)).toBe(2);
    expect(JSON.stringify(client.frames)).not.toContain("from the dead");
  });

  it("a late event of a run that is over does not bring it back", async () => {
    const { client, pool, gateway, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" });
    await run.finish("hi");
    await client.end("k1");
    const told = client.frames.length;
    const { tenant, sessionKey, agentId, runId: id, token } = run.grant;
    const late = { tenant, sessionKey, agentId, runId: id, token, at: 0 };
    gateway.hub.get(ACME)?.onEvents([
      { ...late, runSeq: runSeqOf(1, 1), body: { type: "started", text: "" } },
      { ...late, runSeq: runSeqOf(1, 99), body: { type: "delta", text: "late" } },
    ]);
    await passOver();
    expect(client.frames).toHaveLength(told);
    expect(pool.logger.lines.filter((line) => line.level === "error")).toEqual([]);
  });

  it("a send that is repeated while its run ends does not bring the run back", async () => {
    const pool = await gatewayPool();
    const deps = pool.deps();
    const answered = Promise.withResolvers<void>();
    let slow = false;
    const ledger = new Proxy(deps.ledger, {
      get(target, name, receiver) {
        const member = Reflect.get(target, name, receiver) as unknown;
        if (name !== "accept") return member;
        // What it read is true when it is read, and old when it is answered.
        return async (...given: Parameters<typeof target.accept>) => {
          const answer = await target.accept(...given);
          if (slow) await answered.promise;
          return answer;
        };
      },
    });
    const { gateway } = assembleGateway({ ...deps, ledger });
    const client = await connectWire(gateway);
    const message = { sessionKey: "main", message: "hello", idempotencyKey: "k1" };
    await client.ok("chat.send", message);
    const run = await (await handWorker(pool)).claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    slow = true;
    const repeated = client.ok("chat.send", message);
    await until(() => pool.ledger.calls.filter((name) => name === "accept").length === 2);
    await run.finish("one");
    await client.end("k1");
    const told = client.chats("k1").length;
    answered.resolve();
    expect(await repeated).toMatchObject({ status: "in_flight" });
    expect(gateway.hub.get(ACME)?.runs.has(runId("k1"))).toBe(false);
    expect(client.chats("k1")).toHaveLength(told);
  });

  it("a redriven run is told again", async () => {
    const { client, pool, start, hand } = await setup();
    await (await start("k1")).end("failed");
    await client.end("k1");
    await pool.ledger.port.redrive(ACME, runId("k1"));
    const again = await hand.claim(MAIN);
    await again.say({ type: "started", text: "" });
    await again.finish("healed");
    await until(() => client.chats("k1", "final").length > 0);
    expect(client.chats("k1", "final")).toHaveLength(1);
  });
});

describe("the run watcher", () => {
  const look = async ({ gateway }: Awaited<ReturnType<typeof setup>>) => lookOnce(gateway);

  it("tells the end that the bus did not, from Postgres, once", async () => {
    const clock = fakeClock();
    const all = await setup({ clock });
    const { client, start } = all;
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await run.finish("one two", { silently: true });
    await clock.advance(1_001);
    await look(all);
    expect(await client.end("k1")).toMatchObject({
      state: "final",
      message: { content: [{ text: "one two" }] },
    });
    expect(client.text("k1")).toBe("one two");
    await run.say({ type: "final", text: "one two", stopReason: "stop" });
    await clock.advance(10_000);
    await look(all);
    expect(client.chats("k1", "final")).toHaveLength(1);
  });

  it("gives a waiting agent request its second response", async () => {
    const clock = fakeClock();
    const all = await setup({ clock });
    const id = all.client.send("agent", { message: "hello", idempotencyKey: "a1" });
    await all.client.response(id);
    await (await all.hand.claim(MAIN)).finish("stored only", { silently: true });
    await clock.advance(1_001);
    await look(all);
    expect((await all.client.response(id, 2)).payload).toMatchObject({
      status: "ok",
      result: { payloads: [{ text: "stored only" }] },
    });
  });

  it("asks for silent runs only, ever more rarely, in one statement for all", async () => {
    const clock = fakeClock();
    const all = await setup({ clock });
    for (let i = 0; i < 20; i++) await all.send(`k${i}`, { sessionKey: `s${i}` });
    const reads = () => all.pool.ledger.calls.filter((call) => call === "getMany").length;
    await look(all);
    expect(reads()).toBe(0);
    for (let second = 1; second <= 32; second++) {
      await clock.advance(1_000);
      await look(all);
    }
    expect(reads()).toBeGreaterThan(3);
    expect(reads()).toBeLessThan(9);
  });

  it("asks every second while the bus is down, and tells ends by it", async () => {
    const clock = fakeClock();
    const all = await setup({ clock });
    const { pool, client, start } = all;
    const run = await start("k1");
    pool.bus.break("before");
    pool.link.busHealthy = false;
    for (let second = 0; second < 5; second++) {
      await clock.advance(1_001);
      await look(all);
    }
    await run.finish("without the bus", { silently: true });
    await clock.advance(1_001);
    await look(all);
    expect((await client.end("k1"))["state"]).toBe("final");
  });
});

describe("after the subscription was cut", () => {
  it("every run catches up from where it was", async () => {
    const { client, pool, gateway, start } = await setup();
    const run = await start("k1");
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await pool.unheard(() => run.say({ type: "delta", text: " two" }));
    for (const hub of gateway.hub.all()) hub.onGap();
    await until(() => client.chats("k1", "delta").length === 2);
    expect(client.text("k1")).toBe("one two");
  });
});
