import { describe, expect, it } from "vitest";
import { sessionKey } from "../core/ids.ts";
import { ACME, gatewayPool, handWorker, OTHER_TOKEN, READER_TOKEN } from "../testing/gateway-pool.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const MAIN = "agent:main:main";

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps());
  const client = await connectWire(gateway);
  const hand = await handWorker(pool);
  /** A whole turn: a question and its answer. */
  const turn = async (key: string, session = "main") => {
    await client.ok("chat.send", { sessionKey: session, message: `question ${key}`, idempotencyKey: key });
    const run = await hand.claim(`agent:main:${session}`);
    await run.finish(`answer ${key}`);
    await client.end(key);
  };
  return { pool, gateway, client, hand, turn };
};

type Row = { readonly message: { readonly content: unknown }; readonly messageSeq: number };
const textOf = (content: unknown): unknown =>
  typeof content === "string" ? content : (content as { text: string }[])[0]?.text;
/** A catch-up by cursor: texts and the next cursor. */
const delta = async (client: WireClient, cursor: unknown, params: Readonly<Record<string, unknown>> = {}) => {
  const answer = await client.ok("chat.history", { sessionKey: "main", cursor, ...params });
  if (answer["kind"] !== "delta") return answer;
  const rows = answer["messages"] as Row[];
  return { ...answer, texts: rows.map(({ message }) => textOf(message.content)) };
};

describe("chat.startup", () => {
  it("gives a first screen all it needs in one answer", async () => {
    const { client, turn } = await setup();
    await turn("a");
    const history = await client.ok("chat.history", { sessionKey: "main", limit: 80 });
    const startup = await client.ok("chat.startup", { sessionKey: "MAIN", limit: 80, maxBytes: 262_144 });
    expect(startup).toMatchObject({
      sessionKey: MAIN,
      messages: history["messages"],
      deltaCursor: history["deltaCursor"],
      agentsList: await client.ok("agents.list"),
      metadata: {
        models: (await client.ok("models.list"))["models"],
        commands: (await client.ok("commands.list"))["commands"],
      },
    });
    expect(await client.ok("chat.metadata", { sessionKey: "main" })).toEqual(startup["metadata"]);
  });

  it("of a session that does not exist says what it would run on", async () => {
    const { client } = await setup();
    const startup = await client.ok("chat.startup", { sessionKey: "nope" });
    expect(startup).toMatchObject({
      messages: [],
      sessionInfo: { key: "agent:main:nope", isMain: false, updatedAt: null, activeLeafEntryId: null },
    });
    expect(startup).not.toHaveProperty("deltaCursor");
    expect(startup).not.toHaveProperty("sessionId");
  });

  it("finds a dashboard session by the beginning of its UUID, of this tenant alone", async () => {
    const { client, gateway } = await setup();
    const { key } = (await client.ok("sessions.create", { label: "Trip" })) as { key: string };
    const uuid = key.slice(key.lastIndexOf(":") + 1);
    for (const digits of [uuid.slice(0, 8), uuid.replaceAll("-", "").toUpperCase()]) {
      expect(await client.ok("chat.startup", { shortId: digits })).toMatchObject({
        sessionKey: key,
        resolution: { ok: true, key, agentId: "main", displayName: "Trip" },
      });
    }
    const missing = { resolution: { ok: false } };
    expect(await client.ok("chat.startup", { shortId: "00000000" })).toEqual(missing);
    const stranger = await connectWire(gateway, { token: OTHER_TOKEN });
    expect(await stranger.ok("chat.startup", { shortId: uuid.slice(0, 8) })).toEqual(missing);
    const refused = await client.request("chat.startup", { shortId: "xyz" });
    expect(refused.error).toMatchObject({ code: "INVALID_REQUEST" });
  });
});

describe("chat.history by cursor", () => {
  it("answers what came after, and nothing twice", async () => {
    const { client, turn } = await setup();
    await turn("a");
    const page = await client.ok("chat.history", { sessionKey: "main" });
    expect(await delta(client, page["deltaCursor"])).toMatchObject({ kind: "delta", texts: [] });
    await turn("b");
    const caught = await delta(client, page["deltaCursor"]);
    expect(caught).toMatchObject({
      texts: ["question b", "answer b"],
      messages: [{ sessionKey: MAIN, messageSeq: 3 }, { messageSeq: 4 }],
      sessionInfo: { key: MAIN, lastRunId: "b" },
      pendingInputs: { items: [], total: 0 },
    });
    expect(await delta(client, caught["deltaCursor"])).toMatchObject({ texts: [] });
  });

  it("goes on through another gateway", async () => {
    const { pool, client, turn } = await setup();
    await turn("a");
    const { deltaCursor } = await client.ok("chat.history", { sessionKey: "main" });
    await turn("b");
    const other = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    expect(await delta(other, deltaCursor)).toMatchObject({ texts: ["question b", "answer b"] });
  });

  it.each([
    ["that cannot be read", () => "x"],
    ["of nothing", () => Buffer.from("null").toString("base64url")],
    ["with a position that is none", (read: string) => altered(read, { seq: "2" })],
    ["from beyond the end", (read: string) => altered(read, { seq: 99 })],
    ["of another session", (read: string) => altered(read, { sessionId: "another" })],
    ["of another version", (read: string) => altered(read, { v: 2 })],
  ])("tells the client to start anew with a cursor %s", async (_, cursorOf) => {
    const { client, turn } = await setup();
    await turn("a");
    const { deltaCursor } = await client.ok("chat.history", { sessionKey: "main" });
    expect(await delta(client, cursorOf(String(deltaCursor)))).toEqual({ kind: "reset" });
  });

  it("tells it to start anew after a reset, in a deleted session, and where too much came", async () => {
    const { client, turn, pool } = await setup();
    await turn("a");
    const { deltaCursor } = await client.ok("chat.history", { sessionKey: "main" });
    await client.ok("sessions.reset", { key: "main" });
    expect(await delta(client, deltaCursor)).toEqual({ kind: "reset" });
    const after = await client.ok("chat.history", { sessionKey: "main" });
    for (let i = 0; i < 201; i++) {
      const message = { role: "assistant", content: `${i}`, timestamp: 1 } as const;
      await pool.sessions.port.append(ACME, sessionKey(MAIN), {
        messageId: `${i}`,
        body: { inline: message },
      });
    }
    expect(await delta(client, after["deltaCursor"])).toEqual({ kind: "reset" });
    const { deltaCursor: now } = await client.ok("chat.history", { sessionKey: "main" });
    await client.ok("chat.inject", { sessionKey: "main", message: "x".repeat(2_000) });
    await client.ok("chat.inject", { sessionKey: "main", message: "y".repeat(2_000) });
    expect(await delta(client, now, { maxBytes: 2_500 })).toEqual({ kind: "reset" });
    expect(await delta(client, now)).toMatchObject({ kind: "delta", messages: { length: 2 } });
    expect(await delta(client, now, { sessionKey: "nope" })).toEqual({ kind: "reset" });
  });

  it("gives no cursor with an older page, and refuses params that contradict each other", async () => {
    const { client, turn } = await setup();
    await turn("a");
    expect(await client.ok("chat.history", { sessionKey: "main", offset: 1 })).not.toHaveProperty(
      "deltaCursor",
    );
    for (const params of [{ cursor: "x", offset: 1 }, { offset: 1, messageId: "x" }, { sessionId: "x" }]) {
      const refused = await client.request("chat.history", { sessionKey: "main", ...params });
      expect(refused.error).toMatchObject({ code: "INVALID_REQUEST" });
    }
  });

  const altered = (cursor: string, by: object): string => {
    const position = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")) as object;
    return Buffer.from(JSON.stringify({ ...position, ...by })).toString("base64url");
  };
});

describe("a message by its id", () => {
  it("is the middle of a page of history", async () => {
    const { client, turn } = await setup();
    for (const key of ["a", "b", "c"]) await turn(key);
    const around = (messageId: string) =>
      client.ok("chat.history", { sessionKey: "main", messageId, limit: 3 });
    const page = await around("b:user");
    expect((page["messages"] as { content: unknown }[]).map(({ content }) => textOf(content))).toEqual([
      "answer a",
      "question b",
      "answer b",
    ]);
    expect(page).toMatchObject({ offset: 2, nextOffset: 5, totalMessages: 6 });
    expect(await around("nope")).toMatchObject({ messages: [], hasMore: false });
  });

  it("is answered alone, also from before a reset", async () => {
    const { client, turn } = await setup();
    await turn("a");
    await client.ok("sessions.reset", { key: "main" });
    const get = (messageId: string, key = "main") =>
      client.ok("chat.message.get", { sessionKey: key, messageId });
    expect(await get("a:user")).toMatchObject({ ok: true, message: { content: "question a" } });
    const missing = { ok: false, unavailableReason: "not_found" };
    expect(await get("nope")).toEqual(missing);
    expect(await get("a:user", "other")).toEqual(missing);
  });
});

describe("a client's own inputs", () => {
  it("have a receipt while they wait for their turn", async () => {
    const { client, hand } = await setup();
    await client.ok("chat.send", { sessionKey: "main", message: "one", idempotencyKey: "k1" });
    const run = await hand.claim(MAIN);
    await client.ok("chat.send", { sessionKey: "main", message: "two", idempotencyKey: "k2" });
    const read = () =>
      client.ok("chat.history", { sessionKey: "main", inputRunIds: ["k1", "k2", "unknown"] });
    expect(await read()).toMatchObject({
      inputReceipts: [{ runId: "k2", state: "pending" }],
      inputConsumptions: [],
    });
    await run.finish("done");
    await hand.claim(MAIN);
    expect(await read()).toMatchObject({ inputReceipts: [] });
  });
});

describe("what the configuration gives", () => {
  it("models with their tags, and details where they are asked for", async () => {
    const { client } = await setup();
    const { models } = (await client.ok("models.list", { view: "all", refresh: true })) as {
      models: Record<string, unknown>[];
    };
    expect(models).toMatchObject([
      { id: "one", provider: "demo", tags: ["default"], available: true },
      { id: "two", tags: [] },
    ]);
    expect(models[0]).not.toHaveProperty("input");
    expect(await client.ok("models.list", { includeDetails: true, provider: "demo" })).toMatchObject({
      models: [{ input: ["text"], local: true }, {}],
    });
    expect(await client.ok("models.list", { provider: "nope" })).toEqual({ models: [] });
    expect(await client.ok("models.authStatus")).toMatchObject({
      providers: [{ provider: "demo", status: "static", apiKey: { source: "config" } }],
    });
  });

  it("the configuration itself, as it may be seen", async () => {
    const { client } = await setup();
    expect(await client.ok("config.get")).toMatchObject({
      path: "openclaw.json",
      exists: true,
      valid: true,
      parsed: { gateway: { port: 1 } },
      raw: expect.stringContaining('"port": 1') as unknown,
      hash: "sha256:0",
    });
  });
});

describe("scopes", () => {
  it("are those that OpenClaw asks for", async () => {
    const { gateway } = await setup();
    const reader = await connectWire(gateway, { token: READER_TOKEN, scopes: ["operator.admin"] });
    expect(await reader.ok("node.list")).toMatchObject({ nodes: [] });
    for (const [method, scope] of [
      ["question.list", "operator.questions"],
      ["exec.approval.list", "operator.approvals"],
      ["update.status", "operator.admin"],
    ] as const) {
      const refused = await reader.request(method);
      expect(refused.error).toMatchObject({ code: "FORBIDDEN", details: { missingScope: scope } });
    }
    const asking = await connectWire(gateway, { scopes: ["operator.questions"] });
    expect(await asking.ok("question.list")).toEqual({ questions: [] });
  });
});
