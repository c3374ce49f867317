import { hash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { sessionKey } from "../core/ids.ts";
import { objectKey } from "../core/object-key.ts";
import { ACME, gatewayPool, handWorker, OTHER_TOKEN } from "../testing/gateway-pool.ts";
import { until } from "../testing/until.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";
import type { GatewayLimits } from "./protocol/limits.ts";

const MAIN = "agent:main:main";

const setup = async (limits: Partial<GatewayLimits> = {}) => {
  const pool = await gatewayPool();
  const { gateway, beginDraining } = assembleGateway(pool.deps({ limits }));
  const client = await connectWire(gateway);
  const hand = await handWorker(pool);
  return { pool, gateway, client, hand, beginDraining };
};

const send = (client: WireClient, key: string, more: Readonly<Record<string, unknown>> = {}) =>
  client.request("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: key, ...more });

describe("chat.send with a key", () => {
  it("seen for the first time answers started, under the canonical session key everywhere", async () => {
    const { client, hand } = await setup();
    expect((await send(client, "k1", { sessionKey: "MAIN" })).payload).toEqual({
      runId: "k1",
      status: "started",
    });
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "hi" });
    await run.finish("hi");
    expect((await client.end("k1")).sessionKey).toBe(MAIN);
  });

  it("sent twice at once runs once: started and in_flight", async () => {
    const { client, hand, pool } = await setup();
    const answers = await Promise.all([send(client, "k1"), send(client, "k1")]);
    expect(answers.map((answer) => answer.payload?.["status"])).toEqual(["started", "in_flight"]);
    await (await hand.claim(MAIN)).finish("hi");
    const again = await pool.ledger.port.claim(hand.worker, [{ tenant: ACME, sessionKey: sessionKey(MAIN) }]);
    expect(again).toEqual([{ kind: "empty" }]);
  });

  it("of a run under way answers in_flight, also on another gateway", async () => {
    const { client, hand, pool } = await setup();
    await send(client, "k1");
    await hand.claim(MAIN);
    const second = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    expect((await send(second, "k1")).payload).toEqual({ runId: "k1", status: "in_flight" });
  });

  it.each([
    ["succeeded", { status: "ok" }],
    ["failed", { status: "error", summary: "the model refused the key" }],
    ["aborted", { status: "timeout", summary: "aborted" }],
    ["timed_out", { status: "timeout", summary: "the run reached its time limit" }],
  ] as const)("of a run that %s answers %j and calls no model again", async (how, expected) => {
    const { client, hand, pool } = await setup();
    await send(client, "k1");
    const run = await hand.claim(MAIN);
    if (how === "succeeded") await run.finish("hi");
    else await run.end(how);
    await client.end("k1");
    const told = client.frames.length;
    expect((await send(client, "k1")).payload).toEqual({ runId: "k1", ...expected });
    expect(client.frames.length).toBe(told + 1);
    const [claimed] = await pool.ledger.port.claim(hand.worker, [
      { tenant: ACME, sessionKey: sessionKey(MAIN) },
    ]);
    expect(claimed?.kind).toBe("empty");
  });

  it.each([
    ["another text", { message: "other" }],
    ["another session", { sessionKey: "elsewhere" }],
    [
      "another attachment",
      { attachments: [{ mimeType: "text/plain", content: Buffer.from("text").toString("base64") }] },
    ],
  ])("and %s is a conflict that tells nothing of the run", async (_what, change) => {
    const { client } = await setup();
    await send(client, "k1");
    expect((await send(client, "k1", change)).error).toEqual({
      code: "INVALID_REQUEST",
      message:
        "This message ID was already used for different input. " +
        "Check the conversation history and use a new message ID to send again.",
      details: { reason: "chat-request-conflict" },
    });
  });

  it("of another tenant is another run", async () => {
    const { client, gateway } = await setup();
    const other = await connectWire(gateway, { token: OTHER_TOKEN });
    await send(client, "k1", { message: "ours" });
    expect((await send(other, "k1", { message: "theirs" })).payload?.["status"]).toBe("started");
  });
});

describe("a message", () => {
  it("of 2 MB is accepted, lies in object storage once, and comes back whole", async () => {
    const { client, pool, hand } = await setup();
    const message = "ä".repeat(1_000_000);
    expect((await send(client, "k1", { message })).payload?.["status"]).toBe("started");
    expect(pool.objects.calls.filter((call) => call === "put")).toHaveLength(1);
    const { grant } = await hand.claim(MAIN);
    expect(grant.input.body).toHaveProperty("object");
    const { messages } = await client.ok("chat.history", { sessionKey: "main" });
    expect((messages as { content: string }[])[0]?.content === message).toBe(true);
  });

  it("stays inline while object storage is away", async () => {
    const { client, pool, hand } = await setup();
    pool.objects.break("before");
    expect((await send(client, "k1", { message: "x".repeat(100_000) })).payload?.["status"]).toBe("started");
    expect((await hand.claim(MAIN)).grant.input.body).toHaveProperty("inline");
  });

  it("above the limit is refused with the limit", async () => {
    const { client } = await setup({ messageBytes: 10_000 });
    const { error } = await send(client, "k1", { message: "x".repeat(10_001) });
    expect(error).toMatchObject({ code: "INVALID_REQUEST", details: { limit: 10_000 } });
  });
});

describe("attachments", () => {
  const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
  const base64 = (bytes: Buffer | string): string => Buffer.from(bytes).toString("base64");

  it("lie in object storage, each once, before the row that refers to them; history tells what they are", async () => {
    const { client, hand, pool } = await setup();
    const attachments = [
      { mimeType: "image/png", content: `data:image/png;base64,${base64(PNG)}` },
      { type: "file", mimeType: "text/plain", fileName: "a.txt", content: base64("note"), sizeBytes: 4 },
      { type: "image", source: { type: "base64", media_type: "image/jpeg", data: base64(PNG) } },
    ];
    await send(client, "k1", { attachments });
    const sha256 = hash("sha256", PNG, "hex");
    const stored = await pool.objects.port.get(objectKey(ACME, sha256));
    expect(Buffer.from(stored!)).toEqual(PNG);
    const { grant } = await hand.claim(MAIN);
    const png = {
      url: `media://inbound/${sha256}.png`,
      contentType: "image/png",
      kind: "image",
      sizeBytes: 16,
    };
    const media = [
      png,
      { contentType: "text/plain", kind: "document", fileName: "a.txt", sizeBytes: 4 },
      png,
    ];
    const own = {
      media,
      mediaImageLayout: { slots: [0, 2].map((factIndex) => ({ kind: "inline", factIndex })) },
    };
    expect(grant.input.body).toMatchObject({ inline: { content: "hello", __openclaw: own } });
    const { messages } = await client.ok("chat.history", { sessionKey: "main" });
    expect(messages).toMatchObject([{ role: "user", content: "hello", __openclaw: { ...own, seq: 1 } }]);
    // The same request again is the same run; with another picture it is another request.
    expect((await send(client, "k1", { attachments })).payload?.["status"]).toBe("in_flight");
    expect((await send(client, "k1", { attachments: attachments.slice(1) })).error?.code).toBe(
      "INVALID_REQUEST",
    );
  });

  it.each([
    ["no content", {}, "content must be base64 text"],
    ["an empty one", { content: "data:image/png;base64," }, "it is empty"],
    ["bad base64", { content: "%%%%" }, "content is not valid base64"],
    ["base64 with a hole", { content: `${base64(PNG)}!!AA` }, "content is not valid base64"],
    ["a picture that is none", { mimeType: "image/png", content: base64("<html>") }, "said to be image/png"],
    [
      "a text that is a picture",
      { mimeType: "text/plain", content: base64(PNG) },
      "its content is image/png",
    ],
    ["a text of bytes", { mimeType: "text/plain", content: base64(Buffer.from([255, 0])) }, "something else"],
    ["another size", { content: base64("x"), sizeBytes: 2 }, "sizeBytes says 2, its content has 1 bytes"],
    ["a path for a name", { content: base64("x"), fileName: "../etc/passwd" }, "name without path"],
    ["a name with a line break", { content: base64("x"), fileName: "a\nb" }, "name without path"],
    [
      "a picture that is too large",
      { content: base64(Buffer.concat([PNG, Buffer.alloc(6 * 1024 * 1024)])) },
      "an image has at most 6291456",
    ],
  ])("with %s are one clear error, and nothing is stored", async (_what, attachment, why) => {
    const { client, pool } = await setup();
    const { error } = await send(client, "k1", { attachments: [attachment] });
    expect(error).toMatchObject({ code: "INVALID_REQUEST", details: { reason: "attachment" } });
    expect(error?.message).toMatch(/^attachment 1: /);
    expect(error?.message).toContain(why);
    expect(pool.objects.calls).not.toContain("put");
  });

  it("that are too many are one clear error", async () => {
    const { client } = await setup();
    const many = Array.from({ length: 33 }, () => ({ content: base64("x") }));
    const { error } = await send(client, "k1", { attachments: many });
    expect(error?.message).toBe("33 attachments: at most 32 in one message");
  });

  it("are refused as retryable while object storage is away, and nothing is acknowledged", async () => {
    const { client, pool } = await setup();
    const attachments = [{ content: base64(PNG) }];
    pool.objects.break("before");
    const { error } = await send(client, "k1", { attachments });
    expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    pool.objects.mend();
    expect((await send(client, "k1", { attachments })).payload?.["status"]).toBe("started");
  });
});

describe("while something is away", () => {
  it("Postgres: a retryable error, nothing acknowledged, and the same key works once it is back", async () => {
    const { client, pool } = await setup();
    pool.ledger.break("before");
    const refused = await send(client, "k1");
    expect(refused.error).toMatchObject({ code: "UNAVAILABLE", retryable: true, retryAfterMs: 1_000 });
    pool.ledger.mend();
    expect((await send(client, "k1")).payload?.["status"]).toBe("started");
  });

  it("the answer of Postgres was lost after its commit: the retry finds the run", async () => {
    const { client, pool } = await setup();
    pool.ledger.break("after", ["accept"], 1);
    expect((await send(client, "k1")).error?.code).toBe("UNAVAILABLE");
    expect((await send(client, "k1")).payload).toEqual({ runId: "k1", status: "in_flight" });
  });

  it("the queue: the send is acknowledged, and the session is ready for the sweep", async () => {
    const { client, pool } = await setup();
    pool.queue.break("before");
    expect((await send(client, "k1")).payload?.["status"]).toBe("started");
    const { sessions } = await pool.ledger.port.readySessions(0, 10);
    expect(sessions.map((session) => session.sessionKey)).toEqual([MAIN]);
  });
});

describe("many sends at once", () => {
  it("share commits", async () => {
    const { client, pool } = await setup();
    await Promise.all(Array.from({ length: 200 }, (_, i) => send(client, `k${i}`, { sessionKey: `s${i}` })));
    expect(pool.ledger.calls.filter((call) => call === "accept").length).toBeLessThan(5);
  });

  it("of one session are executed in the order of their acknowledgement", async () => {
    const { client, hand } = await setup();
    for (let i = 0; i < 5; i++) await send(client, `k${i}`);
    for (let i = 0; i < 5; i++) {
      const run = await hand.claim(MAIN);
      expect(run.grant.runId).toBe(`k${i}`);
      await run.finish("ok");
    }
  });

  it("beyond the socket's allowance are refused as busy, the others answered", async () => {
    const { client } = await setup({ maxInFlight: 50 });
    const ids = Array.from({ length: 300 }, (_, i) =>
      client.send("chat.send", { sessionKey: `s${i}`, message: "m", idempotencyKey: `k${i}` }),
    );
    const answers = await Promise.all(ids.map((id) => client.response(id)));
    expect(answers.filter((answer) => answer.ok)).toHaveLength(50);
    const busy = {
      code: "UNAVAILABLE",
      message: "The server is busy. Please try again in a moment.",
      retryable: true,
    };
    const refused = answers.filter((answer) => !answer.ok);
    expect(refused.map(({ error }) => error)).toEqual(refused.map(() => busy));
    expect((await send(client, "again")).ok).toBe(true);
  });

  it("answered at once never fill the allowance", async () => {
    const { client } = await setup({ maxInFlight: 2 });
    const ids = Array.from({ length: 500 }, () => client.send("agents.list"));
    const answers = await Promise.all(ids.map((id) => client.response(id)));
    expect(answers.every((answer) => answer.ok)).toBe(true);
  });

  it("that the store cannot keep up with are refused as overload before memory grows", async () => {
    const { client } = await setup({ acceptWaiting: 10, maxInFlight: 1_000 });
    const ids = Array.from({ length: 100 }, (_, i) =>
      client.send("chat.send", { sessionKey: `s${i}`, message: "m", idempotencyKey: `k${i}` }),
    );
    const answers = await Promise.all(ids.map((id) => client.response(id)));
    const refused = answers.filter((answer) => !answer.ok);
    expect(refused.length).toBeGreaterThan(0);
    for (const { error } of refused) expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  });

  it("of a tenant far behind are refused with a delay, and not those of another", async () => {
    const { client, gateway } = await setup({ tenantBacklog: 5 });
    // Lane main is 64 wide: what is beyond waits in the tenant's backlog.
    for (let i = 0; i < 80; i++) await send(client, `k${i}`, { sessionKey: `s${i}` });
    const refused = await until(
      async () => {
        const answer = await send(client, "late", { sessionKey: "late" });
        return answer.ok ? null : answer;
      },
      { what: "an overload", timeoutMs: 2_000 },
    );
    expect(refused.error).toMatchObject({
      code: "UNAVAILABLE",
      retryable: true,
      retryAfterMs: 1_000,
      details: { reason: "tenant-backlog" },
    });
    const other = await connectWire(gateway, { token: OTHER_TOKEN });
    expect((await send(other, "k")).ok).toBe(true);
  });
});

describe("agent", () => {
  const run = (client: WireClient, key = "a1", more: Readonly<Record<string, unknown>> = {}) =>
    client.send("agent", { message: "hello", idempotencyKey: key, ...more });

  it("answers twice on one id: accepted, then the result", async () => {
    const { client, hand } = await setup();
    const id = run(client);
    expect((await client.response(id)).payload).toMatchObject({
      runId: "a1",
      sessionKey: MAIN,
      agentId: "main",
      status: "accepted",
      acceptedAt: expect.any(Number) as number,
    });
    await (await hand.claim(MAIN)).finish("the answer");
    expect((await client.response(id, 2)).payload).toMatchObject({
      runId: "a1",
      status: "ok",
      summary: "completed",
      result: {
        payloads: [{ text: "the answer", mediaUrl: null }],
        meta: { agentMeta: { sessionFile: MAIN, usage: { input: 1, output: 2, total: 3 } } },
      },
    });
  });

  it("gives a duplicate both responses too, on this gateway and on another", async () => {
    const { client, hand, pool } = await setup();
    const other = await connectWire(assembleGateway(pool.deps({ instance: "gateway-2" })).gateway);
    const asked = [
      { client, id: run(client) },
      { client, id: run(client) },
      { client: other, id: run(other) },
    ];
    for (const { client: one, id } of asked) {
      expect((await one.response(id)).payload?.["status"]).toBe("accepted");
    }
    await (await hand.claim(MAIN)).finish("once");
    for (const { client: one, id } of asked) {
      const final = await one.response(id, 2);
      expect(final.payload).toMatchObject({ status: "ok", result: { payloads: [{ text: "once" }] } });
      expect(one.responses(id)).toHaveLength(2);
    }
  });

  it("gives a duplicate after the end the stored result, in one response", async () => {
    const { client, hand } = await setup();
    const first = run(client);
    await client.response(first);
    await (await hand.claim(MAIN)).finish("stored");
    const { result } = (await client.response(first, 2)).payload as { result: { payloads: unknown } };
    const again = run(client);
    expect((await client.response(again)).payload).toMatchObject({
      status: "ok",
      summary: "completed",
      result: { payloads: result.payloads },
    });
    expect(client.responses(again)).toHaveLength(1);
  });

  it("of a failed run ends in an error that carries the payload too, also for a duplicate", async () => {
    const { client, hand } = await setup();
    const id = run(client);
    await client.response(id);
    await (await hand.claim(MAIN)).end("failed");
    const again = async () => client.response(run(client));
    for (const frame of [await client.response(id, 2), await again()]) {
      expect(frame).toMatchObject({
        ok: false,
        payload: { runId: "a1", status: "error", summary: "the model refused the key" },
        error: { code: "UNAVAILABLE", message: "the model refused the key" },
      });
    }
  });

  it("passes model, thinking and a timeout in seconds on to the worker", async () => {
    const { client, hand } = await setup();
    const id = run(client, "a1", {
      agentId: "work",
      provider: "demo",
      model: "two",
      thinking: "low",
      timeout: 9,
    });
    await client.response(id);
    const { grant } = await hand.claim("agent:work:main");
    expect(grant.input.options).toMatchObject({ model: "demo/two", thinking: "low", timeoutMs: 9_000 });
  });
});

describe("agent.wait", () => {
  it("answers when the run ends, at once when it has ended, and timeout otherwise", async () => {
    const { client, hand } = await setup();
    await send(client, "k1");
    expect(await client.ok("agent.wait", { runId: "k1", timeoutMs: 5 })).toEqual({
      runId: "k1",
      status: "timeout",
    });
    const waiting = client.send("agent.wait", { runId: "k1", timeoutMs: 60_000 });
    await (await hand.claim(MAIN)).finish("hi");
    expect((await client.response(waiting)).payload).toMatchObject({ runId: "k1", status: "ok" });
    expect(await client.ok("agent.wait", { runId: "k1" })).toMatchObject({ status: "ok" });
    expect(await client.ok("agent.wait", { runId: "unknown", timeoutMs: 5 })).toEqual({
      runId: "unknown",
      status: "timeout",
    });
  });

  it("of too many runs at once is refused", async () => {
    const { client } = await setup({ maxWaits: 2 });
    for (let i = 0; i < 2; i++) client.send("agent.wait", { runId: `r${i}`, timeoutMs: 60_000 });
    expect((await client.request("agent.wait", { runId: "r", timeoutMs: 1 })).error?.code).toBe(
      "UNAVAILABLE",
    );
    client.connection.close(1000, "");
    await until(() => client.connection.waits === 0);
  });
});

describe("a draining gateway", () => {
  it("refuses new work as OpenClaw does, and still answers reads and what it had accepted", async () => {
    const { client, hand, beginDraining } = await setup();
    const id = client.send("agent", { message: "hello", idempotencyKey: "a1" });
    await client.response(id);
    beginDraining();
    expect((await send(client, "k1")).error).toEqual({
      code: "UNAVAILABLE",
      message: "chat.send unavailable during gateway restart",
      retryable: true,
      retryAfterMs: 1_000,
      details: { method: "chat.send", reason: "gateway-restarting", phase: "accepting" },
    });
    expect((await client.request("sessions.list")).ok).toBe(true);
    await (await hand.claim(MAIN)).finish("still told");
    expect((await client.response(id, 2)).payload?.["status"]).toBe("ok");
  });
});
