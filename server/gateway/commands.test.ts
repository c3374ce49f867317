import { describe, expect, it } from "vitest";
import { gatewayPool, handWorker, ACME } from "../testing/gateway-pool.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { sessionKey } from "../core/ids.ts";
import { assembleGateway } from "./assemble.ts";

const MAIN = "agent:main:main";

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps());
  const client = await connectWire(gateway);
  const hand = await handWorker(pool);
  /** Another gateway on the same stores, and a client of it. */
  const elsewhere = () => connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
  return { pool, gateway, client, hand, elsewhere };
};

const send = (client: WireClient, message: string, idempotencyKey: string) =>
  client.ok("chat.send", { sessionKey: "main", message, idempotencyKey });

/** Texts of a session's history, oldest first. */
const texts = async (client: WireClient, key = "main"): Promise<unknown[]> => {
  const { messages } = (await client.ok("chat.history", { sessionKey: key })) as {
    messages: { content: string | { text: string }[] }[];
  };
  return messages.map(({ content }) => (typeof content === "string" ? content : content[0]?.text));
};

const chatsOf = (client: WireClient, runId: string) =>
  client.frames
    .filter(({ event, payload }) => event === "chat" && payload?.["runId"] === runId)
    .map(({ payload }) => payload ?? {});

/** The text of a command's answer. */
const answerOf = async (client: WireClient, message: string, key: string): Promise<string> => {
  await send(client, message, key);
  const { message: answer } = (await client.end(key)) as unknown as {
    message: { content: { text: string }[] };
  };
  return answer.content[0]?.text ?? "";
};

describe("a slash command", () => {
  it("is acknowledged, and answered by one final with its message, and nothing else", async () => {
    const { client } = await setup();
    await client.ok("sessions.subscribe");
    expect(await send(client, "/status", "k1")).toEqual({ runId: "k1", status: "started" });
    await client.end("k1");
    expect(chatsOf(client, "k1")).toMatchObject([
      {
        seq: 1,
        state: "final",
        sessionKey: MAIN,
        message: {
          role: "assistant",
          content: [{ type: "text", text: expect.stringContaining("demo/one") as unknown }],
        },
      },
    ]);
    const told = client.frames.filter(({ event }) => event === "session.message" || event === "chat");
    expect(told.map(({ event }) => event)).toEqual(["session.message", "chat", "session.message"]);
    expect(client.frames.filter(({ event }) => event === "agent")).toEqual([]);
    const order = client.frames.map((frame) => (frame.type === "res" ? "res" : frame.event));
    expect(order.indexOf("chat")).toBeGreaterThan(order.lastIndexOf("res"));
  });

  it("stands in the history, and the model does not see it", async () => {
    const { client } = await setup();
    const text = await answerOf(client, "/status", "k1");
    const { messages } = await client.ok("chat.history", { sessionKey: "main" });
    expect(messages).toMatchObject([
      {
        role: "user",
        content: "/status",
        idempotencyKey: "k1:user",
        excludeFromContext: true,
        __openclaw: { contextFreeCommand: true, seq: 1 },
      },
      {
        role: "assistant",
        content: [{ type: "text", text }],
        model: "gateway-injected",
        excludeFromContext: true,
        __openclaw: { runId: "k1", seq: 2 },
      },
    ]);
  });

  it("is answered while a run is under way, which goes on undisturbed", async () => {
    const { client, hand } = await setup();
    await send(client, "hello", "k1");
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "half " });
    expect(await answerOf(client, "/status", "k2")).toContain("one under way");
    await run.say({ type: "delta", text: "an answer" });
    await run.finish("half an answer");
    expect(await client.end("k1")).toMatchObject({ state: "final" });
    const shown = await texts(client);
    expect(shown.toSpliced(2, 1)).toEqual(["hello", "/status", "half an answer"]);
  });

  it("reaches the clients of other gateways", async () => {
    const { client, elsewhere } = await setup();
    const other = await elsewhere();
    await send(client, "/help", "k1");
    expect(await other.end("k1")).toMatchObject({ state: "final", seq: 1 });
    expect(chatsOf(client, "k1")).toHaveLength(1);
    expect(chatsOf(other, "k1")).toHaveLength(1);
  });

  it("is executed once for a key, whichever gateway is asked again, and conflicts with another text", async () => {
    const { client, elsewhere, hand } = await setup();
    await send(client, "hello", "k0");
    await (await hand.claim(MAIN)).finish("hi");
    await client.end("k0");
    await answerOf(client, "/new", "k1");
    await send(client, "hello again", "k2");
    await (await hand.claim(MAIN)).finish("hi again");
    await client.end("k2");
    const other = await elsewhere();
    for (const asked of [client, other]) {
      expect(await send(asked, "/new", "k1")).toEqual({ runId: "k1", status: "ok" });
    }
    expect(await texts(other)).toEqual([
      "Reset",
      "/new",
      "✅ New session started.",
      "hello again",
      "hi again",
    ]);
    expect(chatsOf(client, "k1")).toHaveLength(1);
    for (const message of ["/reset", "hello"]) {
      const refused = await other.request("chat.send", { sessionKey: "main", message, idempotencyKey: "k1" });
      expect(refused.error).toMatchObject({ details: { reason: "chat-request-conflict" } });
    }
    const elsewhereToo = await other.request("chat.send", {
      sessionKey: "other",
      message: "/new",
      idempotencyKey: "k1",
    });
    expect(elsewhereToo.error).toMatchObject({ details: { reason: "chat-request-conflict" } });
    const taken = await client.request("chat.send", {
      sessionKey: "main",
      message: "/new",
      idempotencyKey: "k2",
    });
    expect(taken.error).toMatchObject({ details: { reason: "chat-request-conflict" } });
    expect(await texts(other)).toHaveLength(5);
  });

  it("does its part once when its gateway dies before the answer is recorded", async () => {
    const { pool, client, elsewhere, hand } = await setup();
    await send(client, "hello", "k0");
    await (await hand.claim(MAIN)).finish("hi");
    await client.end("k0");
    pool.ledger.break("before", ["answer"]);
    const lost = await client.request("chat.send", {
      sessionKey: "main",
      message: "/new",
      idempotencyKey: "k1",
    });
    expect(lost.error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    pool.ledger.mend();
    const other = await elsewhere();
    expect(await send(other, "/new", "k1")).toEqual({ runId: "k1", status: "started" });
    expect(await texts(other)).toEqual(["Reset", "/new", "✅ New session started."]);
    const session = await pool.sessions.port.get(ACME, sessionKey(MAIN));
    expect(session).toMatchObject({ lifecycleRevision: 2 });
  });

  it("whose record was written while its acknowledgement got lost is answered as done", async () => {
    const { pool, client, elsewhere } = await setup();
    pool.ledger.break("after", ["answer"], 1);
    const request = { sessionKey: "main", message: "/model two", idempotencyKey: "k1" };
    expect((await client.request("chat.send", request)).error).toMatchObject({ retryable: true });
    const other = await elsewhere();
    await other.ok("sessions.patch", { key: "main", model: "demo/one" });
    expect(await send(other, "/model two", "k1")).toEqual({ runId: "k1", status: "ok" });
    expect(await texts(other)).toEqual(["/model two", "Model set to demo/two for this session."]);
    expect(await pool.sessions.port.get(ACME, sessionKey(MAIN))).toMatchObject({ model: "demo/one" });
  });

  it("that is not known, or has words behind it that it does not take, is a message to the model", async () => {
    const { client, hand } = await setup();
    for (const [i, message] of ["/nope", "/help me out", "/", "//help", "see /help"].entries()) {
      expect(await send(client, message, `k${i}`)).toMatchObject({ status: "started" });
      const run = await hand.claim(MAIN);
      await run.finish("said");
    }
    expect(await texts(client)).toContain("/help me out");
  });

  it("works through sessions.send, sessions.create and agent as well", async () => {
    const { client } = await setup();
    const unknown = await client.request("sessions.send", { key: "a", message: "/help" });
    expect(unknown.error).toMatchObject({ message: "session not found: agent:main:a" });
    await client.ok("sessions.create", { key: "a" });
    expect(await client.ok("sessions.send", { key: "a", message: "/help", idempotencyKey: "k1" })).toEqual({
      runId: "k1",
      status: "started",
    });
    expect(await client.end("k1")).toMatchObject({ state: "final", sessionKey: "agent:main:a" });
    const created = await client.ok("sessions.create", { key: "b", message: "/help", idempotencyKey: "k2" });
    expect(created).toMatchObject({ ok: true, key: "agent:main:b", runStarted: true, runId: "k2" });
    const asked = await client.ok("agent", { message: "/models", sessionKey: "c", idempotencyKey: "k3" });
    expect(asked).toMatchObject({
      runId: "k3",
      status: "ok",
      result: { payloads: [{ text: expect.stringContaining("demo/two") as unknown }] },
    });
    expect(await client.ok("agent.wait", { runId: "k3" })).toMatchObject({ status: "ok" });
  });

  it("is listed with everything a client needs to offer it", async () => {
    const { client } = await setup();
    const { commands } = (await client.ok("commands.list", { agentId: "main", scope: "text" })) as {
      commands: { name: string }[];
    };
    const names = commands.map(({ name }) => name);
    expect(names).toEqual([
      "help",
      "commands",
      "status",
      "new",
      "reset",
      "compact",
      "stop",
      "model",
      "models",
      "think",
    ]);
    expect(commands.at(-1)).toEqual({
      name: "think",
      nativeName: "think",
      textAliases: ["/think", "/thinking", "/t"],
      description: "Set thinking level.",
      category: "options",
      source: "native",
      scope: "both",
      acceptsArgs: true,
      args: [{ name: "level", description: "A level of the model, or default", type: "string" }],
    });
    const bare = await client.ok("commands.list", { includeArgs: false });
    expect((bare["commands"] as object[]).at(-1)).not.toHaveProperty("args");
    const help = await answerOf(client, "/help", "k1");
    const list = await answerOf(client, "/commands", "k2");
    for (const name of names) expect([help, list].every((text) => text.includes(`/${name}`))).toBe(true);
  });
});

describe("/new and /reset", () => {
  it("end what is under way and begin a new history; a text behind them is its first message", async () => {
    const { client, hand, elsewhere } = await setup();
    await send(client, "long", "k1");
    await send(client, "queued", "k2");
    expect(await send(client, "/new and hello", "k3")).toEqual({ runId: "k3", status: "started" });
    expect(await client.end("k1")).toMatchObject({ state: "aborted" });
    expect(await client.end("k2")).toMatchObject({ state: "aborted" });
    const other = await elsewhere();
    expect(await send(other, "/new and hello", "k3")).toEqual({ runId: "k3", status: "in_flight" });
    const run = await hand.claim(MAIN);
    expect(run.grant.runId).toBe("k3");
    await run.finish("hi");
    await client.end("k3");
    expect(await texts(client)).toEqual(["Reset", "and hello", "hi"]);
    expect(await send(other, "/new and hello", "k3")).toEqual({ runId: "k3", status: "ok" });
    const refused = await other.request("chat.send", {
      sessionKey: "main",
      message: "and hello",
      idempotencyKey: "k3",
    });
    expect(refused.error).toMatchObject({ details: { reason: "chat-request-conflict" } });
    expect(await answerOf(client, "/reset", "k4")).toBe("✅ Session reset.");
    expect(await texts(client)).toEqual(["Reset", "/reset", "✅ Session reset."]);
  });

  it("asked for again after their gateway died, abort nothing that has begun since", async () => {
    const { pool, client, elsewhere } = await setup();
    await send(client, "long", "k1");
    // The gateway resets and dies before the text is accepted.
    pool.ledger.break("before", ["accept"]);
    const lost = await client.request("chat.send", {
      sessionKey: "main",
      message: "/new and hello",
      idempotencyKey: "k2",
    });
    expect(lost.error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    pool.ledger.mend();
    expect(client.chats("k1", "aborted")).toHaveLength(1);
    const other = await elsewhere();
    expect(await send(other, "meanwhile", "k3")).toEqual({ runId: "k3", status: "started" });
    expect(await send(other, "/new and hello", "k2")).toEqual({ runId: "k2", status: "started" });
    expect(await texts(client)).toEqual(["Reset"]);
    expect((await pool.ledger.port.get(ACME, "k3" as never))?.status).toBe("queued");
    expect((await pool.ledger.port.get(ACME, "k2" as never))?.status).toBe("queued");
  });

  it("keep the history where a soft reset is asked for, which there is not", async () => {
    const { client } = await setup();
    await answerOf(client, "/help", "k1");
    expect(await answerOf(client, "/reset soft", "k2")).toContain("not supported");
    expect(await texts(client)).toHaveLength(4);
  });
});

describe("/stop", () => {
  it.each(["/stop", "/abort", "Stop!", "please  stop"])("answers %j as chat.abort does", async (message) => {
    const { client, elsewhere } = await setup();
    await send(client, "long", "k1");
    const other = await elsewhere();
    const stopped = await send(other, message, "k2");
    expect(stopped).toMatchObject({ ok: true, aborted: true, runIds: ["k1"], runId: "k2", status: "ok" });
    expect(await client.end("k1")).toMatchObject({ state: "aborted" });
    await send(client, "next", "k3");
    // Sent again, it does not stop what has begun since.
    expect(await send(client, message, "k2")).toMatchObject({ runId: "k2", status: "ok" });
    expect(await client.ok("agent.wait", { runId: "k3", timeoutMs: 1 })).toMatchObject({ status: "timeout" });
    expect(chatsOf(client, "k2")).toEqual([]);
  });

  it("says so where nothing runs, and a longer sentence is a message", async () => {
    const { client } = await setup();
    expect(await send(client, "/stop", "k1")).toMatchObject({ aborted: false, runIds: [] });
    expect(await send(client, "stop the music", "k2")).toEqual({ runId: "k2", status: "started" });
  });
});

describe("/model and /think", () => {
  it("show and set the session's model", async () => {
    const { client, hand } = await setup();
    expect(await answerOf(client, "/model", "k1")).toContain("Current: demo/one (default)");
    expect(await answerOf(client, "/model demo/nope", "k2")).toContain("demo/nope");
    expect(await answerOf(client, "/model: two", "k3")).toBe("Model set to demo/two for this session.");
    expect(await answerOf(client, "/models", "k4")).toContain("- demo/two ← current");
    await send(client, "hello", "k5");
    expect((await hand.claim(MAIN)).grant.sessionModel).toBe("demo/two");
    const { session } = (await client.ok("sessions.describe", { key: "main" })) as { session: object };
    expect(session).toMatchObject({ model: "two", modelOverrideSource: "user" });
    expect(await answerOf(client, "/model default", "k6")).toBe("Model reset to default (demo/one).");
  });

  it("show and set the thinking level, of those that the model has", async () => {
    const { client, gateway, pool } = await setup();
    expect(await answerOf(client, "/think", "k1")).toBe(
      "Current thinking level: off.\nOptions: default, off.",
    );
    expect(await answerOf(client, "/think high", "k2")).toContain('Unrecognized thinking level "high"');
    const [one] = gateway.catalog.models;
    const catalog = { ...gateway.catalog, models: [{ ...one!, reasoning: true }] };
    const thinker = await connectWire(assembleGateway({ ...pool.deps(), catalog }).gateway);
    expect(await answerOf(thinker, "/t HIGH", "k3")).toBe("Thinking level set to high.");
    expect(await answerOf(thinker, "/think", "k4")).toContain("Current thinking level: high.");
    expect(await answerOf(thinker, "/think off", "k5")).toBe("Thinking disabled.");
    expect(await answerOf(thinker, "/think default", "k6")).toBe("Thinking level reset to default (off).");
  });
});
