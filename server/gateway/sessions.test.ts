import { describe, expect, it } from "vitest";
import { hash } from "node:crypto";
import { objectKey } from "../core/object-key.ts";
import { agentId, runId, sessionKey } from "../core/ids.ts";
import { announcedBy } from "../core/provenance.ts";
import { ACME, gatewayPool, handWorker } from "../testing/gateway-pool.ts";
import { until } from "../testing/until.ts";
import { connectWire } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";
import type { GatewayLimits } from "./protocol/limits.ts";

const MAIN = "agent:main:main";

const setup = async (limits: Partial<GatewayLimits> = {}) => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps({ limits }));
  const client = await connectWire(gateway);
  const hand = await handWorker(pool);
  /** A whole turn: a question and its answer. */
  const turn = async (key: string, session = "main", answer = `answer ${key}`) => {
    await client.ok("chat.send", { sessionKey: session, message: `question ${key}`, idempotencyKey: key });
    const run = await hand.claim(`agent:main:${session}`);
    await run.finish(answer);
    await client.end(key);
  };
  const texts = async (params: Readonly<Record<string, unknown>> = {}) => {
    const history = await client.ok("chat.history", { sessionKey: "main", ...params });
    const messages = history["messages"] as { content: string | { text: string }[] }[];
    return messages.map(({ content }) => (typeof content === "string" ? content : content[0]?.text));
  };
  return { pool, gateway, client, hand, turn, texts };
};

describe("chat.history", () => {
  it("of a session that does not exist is empty and no error", async () => {
    const { client } = await setup();
    const history = await client.ok("chat.history", { sessionKey: "nope" });
    expect(history).toMatchObject({ sessionKey: "agent:main:nope", messages: [], totalMessages: 0 });
    expect(history).not.toHaveProperty("sessionId");
    expect(history).toMatchObject({ hasMore: false, pendingInputs: { items: [], total: 0 } });
  });

  it("pages back from the newest rows", async () => {
    const { client, turn, texts } = await setup();
    for (const key of ["a", "b", "c"]) await turn(key);
    expect(await texts({ limit: 2 })).toEqual(["question c", "answer c"]);
    expect(await client.ok("chat.history", { sessionKey: "main", limit: 2 })).toMatchObject({
      hasMore: true,
      nextOffset: 2,
      totalMessages: 6,
    });
    expect(await texts({ limit: 2, offset: 2 })).toEqual(["question b", "answer b"]);
    expect(await texts({ limit: 4, offset: 4 })).toEqual(["question a", "answer a"]);
    expect(await client.ok("chat.history", { sessionKey: "main", offset: 4 })).not.toHaveProperty(
      "nextOffset",
    );
    expect(await texts({ offset: 6 })).toEqual([]);
  });

  it("leaves out what is for the model alone: reports of subagents, in pages, deltas and events", async () => {
    const { pool, client, hand, turn, texts } = await setup();
    await turn("a");
    await client.ok("sessions.messages.subscribe", { key: "main" });
    const { deltaCursor } = await client.ok("chat.history", { sessionKey: "main" });
    const inline = {
      role: "user",
      content: "a report",
      timestamp: 1,
      provenance: announcedBy(sessionKey("agent:main:subagent:x")),
    } as const;
    const [accepted] = await pool.ledger.port.accept([
      {
        tenant: ACME,
        runId: runId("announce:v1:x"),
        sessionKey: sessionKey(MAIN),
        agentId: agentId("main"),
        lane: "main",
        requestHash: "0".repeat(64),
        input: { body: { inline }, options: {} },
        newSessionId: "s",
      },
    ]);
    expect(accepted?.kind).toBe("new");
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "message", row: run.grant.userRow });
    await run.finish("the outcome");
    await client.end("announce:v1:x");
    expect(await texts()).toEqual(["question a", "answer a", "the outcome"]);
    expect(await client.ok("chat.history", { sessionKey: "main", limit: 2 })).toMatchObject({
      messages: [{ role: "assistant" }],
      totalMessages: 4,
      nextOffset: 2,
    });
    const delta = await client.ok("chat.history", { sessionKey: "main", cursor: deltaCursor });
    expect(delta["messages"]).toMatchObject([{ message: { role: "assistant" } }]);
    const row = { sessionKey: "main", messageId: "announce:v1:x:user" };
    expect(await client.ok("chat.message.get", row)).toEqual({ ok: false, unavailableReason: "not_visible" });
    const told = client.frames.filter((frame) => JSON.stringify(frame).includes("a report"));
    expect(told).toEqual([]);
    expect(client.frames.filter((frame) => JSON.stringify(frame).includes("the outcome"))).not.toEqual([]);
  });

  it("is whole while its older rows lie in a sealed segment", async () => {
    const { pool, turn, texts, client } = await setup();
    for (const key of ["a", "b", "c"]) await turn(key);
    const key = sessionKey(MAIN);
    const { rows } = await pool.sessions.port.history(ACME, key, { limit: 3, beforeSeq: 4 });
    const bytes = Buffer.from(rows.map((row) => JSON.stringify(row)).join("\n") + "\n");
    const sha256 = hash("sha256", bytes, "hex");
    await pool.objects.port.put(objectKey(ACME, sha256), bytes);
    const object = { sha256, bytes: bytes.length };
    await pool.sessions.port.seal(ACME, key, { firstSeq: 1, lastSeq: 3, object });
    expect(await texts()).toEqual([
      "question a",
      "answer a",
      "question b",
      "answer b",
      "question c",
      "answer c",
    ]);
    expect(await texts({ limit: 2, offset: 2 })).toEqual(["question b", "answer b"]);
    pool.objects.break("before");
    expect((await client.request("chat.history", { sessionKey: "main" })).error).toMatchObject({
      code: "UNAVAILABLE",
      retryable: true,
    });
    expect(await texts({ limit: 2 })).toEqual(["question c", "answer c"]);
  });

  it("shows nothing from before a reset, also where a segment holds rows of both sides", async () => {
    const { pool, client, turn, texts } = await setup();
    await turn("a");
    await client.ok("sessions.reset", { key: "main" });
    await turn("b");
    const key = sessionKey(MAIN);
    const { rows } = await pool.sessions.port.history(ACME, key, { limit: 9, includeReset: true });
    const bytes = Buffer.from(rows.map((row) => JSON.stringify(row)).join("\n"));
    const object = { sha256: hash("sha256", bytes, "hex"), bytes: bytes.length };
    await pool.objects.port.put(objectKey(ACME, object.sha256), bytes);
    await pool.sessions.port.seal(ACME, key, { firstSeq: 1, lastSeq: 5, object });
    expect(await texts()).toEqual(["Reset", "question b", "answer b"]);
  });

  it("leaves to the next page what does not fit, and shows a body that cannot be had as such", async () => {
    const { client, turn, texts, pool } = await setup({ historyBytes: 50_000 });
    await turn("a", "main", "x".repeat(30_000));
    await turn("b", "main", "y".repeat(30_000));
    expect(await client.ok("chat.history", { sessionKey: "main" })).toMatchObject({
      hasMore: true,
      nextOffset: 2,
    });
    await client.ok("chat.send", {
      sessionKey: "main",
      message: "z".repeat(40_000),
      idempotencyKey: "big",
    });
    await until(async () => (await texts({ limit: 1 })).length === 1);
    await (await handWorker(pool, "hand.9")).claim(MAIN);
    pool.objects.break("before");
    expect(await texts({ limit: 1 })).toEqual(["[this message cannot be read at the moment]"]);
  });

  it("shows the run under way with its text so far, also on a gateway that never saw it, and what is queued", async () => {
    const { pool, client, hand } = await setup();
    for (const key of ["k1", "k2"]) {
      await client.ok("chat.send", { sessionKey: "main", message: key, idempotencyKey: key });
    }
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "half an" });
    const other = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    for (const one of [client, other]) {
      expect(await one.ok("chat.history", { sessionKey: "main" })).toMatchObject({
        inFlightRun: { runId: "k1", text: "half an" },
        pendingInputs: {
          items: [
            {
              id: "k2",
              runId: "k2",
              state: "queued",
              message: { role: "user", content: expect.any(String) as string, idempotencyKey: "k2:user" },
            },
          ],
          total: 1,
        },
      });
    }
  });
});

describe("sessions", () => {
  it("are listed newest first, in pages", async () => {
    const { client } = await setup();
    for (const key of ["a", "b", "c"]) await client.ok("sessions.create", { key, label: `name of ${key}` });
    const page = await client.ok("sessions.list", { limit: 2 });
    expect(page).toMatchObject({ count: 2, totalCount: 3, limitApplied: 2, nextOffset: 2, hasMore: true });
    const rest = await client.ok("sessions.list", { limit: 2, offset: 2 });
    expect(rest).toMatchObject({ count: 1, offset: 2, nextOffset: null, hasMore: false });
    const rows = [...(page["sessions"] as object[]), ...(rest["sessions"] as object[])];
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({ kind: "direct", agentId: "main", hasActiveRun: false, archived: false });
    expect(await client.ok("sessions.list", { search: "name of b" })).toMatchObject({ totalCount: 1 });
  });

  it("create is idempotent by key, makes a key where none is given, and may send", async () => {
    const { client, hand } = await setup();
    const first = await client.ok("sessions.create", { key: "new", model: "demo/two" });
    const again = await client.ok("sessions.create", { key: "NEW" });
    expect(again).toMatchObject({ key: "agent:main:new", sessionId: first["sessionId"], runStarted: false });
    expect(again).toMatchObject({ resolved: { modelProvider: "demo", model: "two" } });
    const made = await client.ok("sessions.create", { agentId: "work" });
    expect(made["key"]).toMatch(/^agent:work:dashboard:[0-9a-f-]{36}$/);
    const sent = await client.ok("sessions.create", { key: "third", message: "hello" });
    expect(sent).toMatchObject({ runStarted: true, status: "started", runId: expect.any(String) as string });
    expect((await hand.claim("agent:main:third")).grant.runId).toBe(sent["runId"]);
  });

  it("patch changes and clears, also before the first message", async () => {
    const { client } = await setup();
    const patched = await client.ok("sessions.patch", { key: "p", label: "name", model: "two" });
    expect(patched).toMatchObject({ entry: { label: "name", modelOverride: "demo/two" } });
    const { sessionId } = patched["entry"] as { sessionId: string };
    const archive = { key: "p", label: null, archived: true, expectedSessionId: sessionId };
    await client.ok("sessions.patch", archive);
    const { session } = await client.ok("sessions.describe", { key: "p" });
    expect(session).toMatchObject({ archived: true, model: "two", modelOverrideSource: "user" });
    expect(session).not.toHaveProperty("label");
    expect(await client.ok("sessions.list")).toMatchObject({ totalCount: 0 });
    expect(await client.ok("sessions.list", { archived: true })).toMatchObject({ totalCount: 1 });
  });

  it("reset keeps the sessionId, ends what is under way and begins a new history", async () => {
    const { client, turn, texts } = await setup();
    await turn("a");
    await client.ok("chat.send", { sessionKey: "main", message: "late", idempotencyKey: "b" });
    const before = await client.ok("sessions.describe", { key: "main" });
    const reset = await client.ok("sessions.reset", { key: "main", reason: "new" });
    const { sessionId, lifecycleRevision } = before["session"] as Record<string, string>;
    expect(reset).toMatchObject({ ok: true, key: MAIN, entry: { sessionId } });
    expect((reset["entry"] as Record<string, string>)["lifecycleRevision"]).not.toBe(lifecycleRevision);
    expect(client.chats("b", "aborted")).toHaveLength(1);
    expect(await texts()).toEqual(["Reset"]);
  });

  it("delete is repeatable, and the main session is not deleted", async () => {
    const { client } = await setup();
    await client.ok("sessions.create", { key: "gone" });
    expect(await client.ok("sessions.delete", { key: "gone" })).toMatchObject({
      deleted: true,
      archived: [],
    });
    expect(await client.ok("sessions.delete", { key: "gone" })).toMatchObject({ deleted: false });
    const refused = await client.request("sessions.delete", { key: "main" });
    expect(refused.error).toMatchObject({
      code: "INVALID_REQUEST",
      message: "Cannot delete the main session (agent:main:main).",
    });
  });

  it("are resolved, previewed and read by any form of their key", async () => {
    const { client, turn } = await setup();
    await turn("a");
    expect(await client.ok("sessions.resolve", { key: "global" })).toEqual({
      ok: true,
      key: MAIN,
      agentId: "main",
    });
    expect((await client.request("sessions.resolve", { key: "nope" })).error?.message).toBe(
      "No session found: agent:main:nope",
    );
    const asked = { reference: { key: "Main", slug: "main" }, allowMissing: true };
    expect(await client.ok("sessions.resolve", asked)).toMatchObject({ ok: true, key: MAIN });
    expect(await client.ok("sessions.resolve", { ...asked, reference: { key: "nope" } })).toEqual({
      ok: false,
    });
    expect((await client.request("sessions.resolve", { ...asked, key: "main" })).error?.message).toContain(
      "Provide either key, sessionId, label, shortId, or reference (not multiple)",
    );
    expect(await client.ok("sessions.preview", { keys: ["main", "nope"] })).toMatchObject({
      previews: [
        {
          key: MAIN,
          status: "ok",
          items: [
            { role: "user", text: "question a" },
            { role: "assistant", text: "answer a" },
          ],
        },
        { key: "agent:main:nope", status: "missing", items: [] },
      ],
    });
    expect((await client.ok("sessions.get", { key: "MAIN" }))["messages"]).toHaveLength(2);
  });

  it("changes are told to subscribers on every gateway", async () => {
    const { pool, client } = await setup();
    const other = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    await other.ok("sessions.subscribe");
    await client.ok("sessions.create", { key: "s" });
    await client.ok("sessions.patch", { key: "s", label: "x" });
    await client.ok("chat.inject", { sessionKey: "s", message: "note" });
    await client.ok("sessions.reset", { key: "s" });
    await client.ok("sessions.delete", { key: "s" });
    const reasons = () => other.events("sessions.changed").map((frame) => frame.payload?.["reason"]);
    await until(() => reasons().length === 5);
    expect(reasons()).toEqual(["create", "patch", "message", "reset", "delete"]);
  });

  it("subscribe with list params answers the list as well", async () => {
    const { client } = await setup();
    expect(await client.ok("sessions.subscribe", { limit: 5 })).toMatchObject({
      subscribed: true,
      list: { limitApplied: 5 },
    });
  });
});

describe("chat.inject", () => {
  it("appends an assistant row and tells those that follow the session on every gateway", async () => {
    const { pool, client, turn, texts } = await setup();
    const other = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    await turn("a");
    for (const one of [client, other]) await one.ok("sessions.messages.subscribe", { key: "main" });
    const { messageId } = await client.ok("chat.inject", { sessionKey: "main", message: "note" });
    expect(await texts()).toEqual(["question a", "answer a", "note"]);
    const injected = `inject-${String(messageId)}`;
    for (const one of [client, other]) {
      await until(() => one.events("session.message").at(-1)?.payload?.["messageId"] === messageId);
      expect(one.events("session.message").at(-1)?.payload).toMatchObject({ messageId, messageSeq: 3 });
      const finals = one.events("chat").filter(({ payload }) => payload?.["runId"] === injected);
      expect(finals.map(({ payload }) => payload)).toMatchObject([
        {
          sessionKey: MAIN,
          agentId: "main",
          seq: 0,
          state: "final",
          message: { role: "assistant", content: [{ type: "text", text: "note" }] },
        },
      ]);
    }
    const missing = await client.request("chat.inject", { sessionKey: "nope", message: "note" });
    expect(missing.error?.message).toBe("session not found: agent:main:nope");
  });

  it("reaches this gateway's connections where the bus is away", async () => {
    const { pool, client, turn } = await setup();
    await turn("a");
    pool.bus.break("before");
    const { messageId } = await client.ok("chat.inject", { sessionKey: "main", message: "note" });
    await until(
      () =>
        client.events("session.message").length > 0 ||
        client.chats(`inject-${String(messageId)}`, "final").length > 0,
    );
    expect(client.chats(`inject-${String(messageId)}`, "final")).toHaveLength(1);
  });
});

describe("what the gateway says of itself", () => {
  it("agents, identity, models, status and presence come from configuration and this process", async () => {
    const { client, gateway } = await setup();
    expect(await client.ok("agents.list")).toMatchObject({
      defaultId: "main",
      mainKey: "main",
      scope: "per-sender",
      agents: [{ id: "main", model: { primary: "demo/one" } }, { id: "work" }],
    });
    expect(await client.ok("agent.identity.get", { agentId: "work" })).toEqual({
      agentId: "work",
      name: "Work",
      nameSource: "config",
      avatar: "W",
    });
    expect(await client.ok("models.list")).toMatchObject({
      models: [
        { id: "one", tags: ["default"] },
        { id: "two", tags: [] },
      ],
    });
    expect(await client.ok("status")).toMatchObject({ sessions: { count: 0 }, gateway: { connections: 1 } });
    expect(gateway.presence.list(ACME)).toMatchObject([{ mode: "gateway", instanceId: "gateway-1" }]);
  });

  it("health names the sessions of every agent, as `openclaw health` prints them", async () => {
    const { client } = await setup();
    await client.ok("sessions.create", { key: "agent:work:notes" });
    const recent = [{ key: "agent:work:notes", updatedAt: expect.any(Number) as number }];
    expect(await client.ok("health")).toMatchObject({
      ok: true,
      sessions: { path: "PostgreSQL", count: 1, recent },
      agents: [
        { agentId: "main", sessions: { count: 0, recent: [] } },
        { agentId: "work", sessions: { count: 1, recent } },
      ],
    });
  });

  it("health answers without Postgres too, and tells no session to who may not read", async () => {
    const { client, gateway, pool } = await setup();
    await client.ok("sessions.create", { key: "agent:work:notes" });
    const unscoped = await connectWire(gateway, { params: { scopes: [] } });
    expect(await unscoped.ok("health")).toMatchObject({ ok: true, sessions: { count: 0, recent: [] } });
    pool.sessions.break("before");
    expect(await client.ok("health")).toMatchObject({
      ok: true,
      sessions: { path: "PostgreSQL does not answer", recent: [] },
    });
  });
});
