import { describe, expect, it } from "vitest";
import { gatewayPool } from "../testing/gateway-pool.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { connectParamsOf, connectWire, WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";
import { method, methodRegistry } from "./methods/registry.ts";
import { z } from "zod";

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps());
  return { pool, gateway };
};

describe("before connect", () => {
  const open = async (): Promise<WireClient> => new WireClient((await setup()).gateway);

  it("what is not JSON closes 1000 without a reason", async () => {
    const client = await open();
    client.raw("{nope");
    expect(client.closed).toEqual({ code: 1000, reason: "" });
  });

  it("another request than connect is answered and closes 1008", async () => {
    const client = await open();
    const response = await client.request("health");
    const message = "invalid handshake: first request must be connect";
    expect(response.error).toEqual({ code: "INVALID_REQUEST", message });
    expect(client.closed).toEqual({ code: 1008, reason: message });
  });

  it.each(['{"type":"req","id":7,"method":"connect"}', "[]", "7", '{"type":"event"}'])(
    "the bad frame %s closes 1008 without an answer",
    async (text) => {
      const client = await open();
      client.raw(text);
      expect(client.closed).toEqual({ code: 1008, reason: "invalid request frame" });
      expect(client.frames.filter((frame) => frame.type === "res")).toEqual([]);
    },
  );

  it("a frame above 64 KiB closes 1009", async () => {
    const client = await open();
    client.raw(JSON.stringify({ type: "req", id: "1", method: "connect", params: "x".repeat(65_536) }));
    expect(client.closed?.code).toBe(1009);
  });

  it("params of a wrong type are named in the answer, unknown ones are ignored", async () => {
    const client = await open();
    const response = await client.request("connect", { ...connectParamsOf(), maxProtocol: "4" });
    expect(response.error?.message).toMatch(/^invalid connect params: at \/maxProtocol: must be integer/);
    const newer = await open();
    const params = { ...connectParamsOf(), modelCatalog: { of: "a newer client" } };
    expect((await newer.request("connect", params)).ok).toBe(true);
  });
});

describe("after connect", () => {
  const open = async (): Promise<WireClient> => connectWire((await setup()).gateway);
  const bad = (client: WireClient, text: string) => {
    const before = client.frames.length;
    client.raw(text);
    return client.frames[before];
  };

  it("what is not JSON is ignored and the connection stays", async () => {
    const client = await open();
    expect(bad(client, "{nope")).toBeUndefined();
    expect((await client.request("health")).ok).toBe(true);
  });

  it.each([
    ['{"type":"req","id":7,"method":"health"}', "invalid", /at \/id/],
    ['{"type":"req","id":"a"}', "a", /required property 'method'/],
    ['{"type":"res","id":"a","method":"health"}', "a", /at \/type/],
    ['{"type":"req","id":"a","method":"health","extra":1}', "a", /unexpected property 'extra'/],
    ["null", "invalid", /must be object/],
    ['"text"', "invalid", /must be object/],
  ])("the bad frame %s is answered under %s and the connection stays", async (text, id, why) => {
    const client = await open();
    const response = bad(client, text);
    expect(response).toMatchObject({ type: "res", id, ok: false, error: { code: "INVALID_REQUEST" } });
    expect(response?.error?.message).toMatch(/^invalid request frame: /);
    expect(response?.error?.message).toMatch(why);
    expect((await client.request("health")).ok).toBe(true);
  });

  it("what an error repeats of the request is cut short", async () => {
    const client = await open();
    const long = "x".repeat(200_000);
    const { error } = await client.request("agent.identity.get", { agentId: long });
    expect(error).toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringContaining('Agent "xxx') as unknown,
    });
    expect(JSON.stringify(error).length).toBeLessThan(3_000);
  });

  it("an unknown method is named", async () => {
    const response = await (await open()).request("sessions.unsubscribe");
    expect(response.error).toEqual({
      code: "INVALID_REQUEST",
      message: "unknown method: sessions.unsubscribe",
    });
  });

  it("a second connect is refused and the connection stays", async () => {
    const client = await open();
    const response = await client.request("connect", connectParamsOf());
    expect(response.error).toEqual({
      code: "INVALID_REQUEST",
      message: "connect is only valid as the first request",
    });
    expect((await client.request("health")).ok).toBe(true);
  });

  it.each([
    ["chat.send", {}, /must have required property 'message'/],
    ["chat.send", { sessionKey: 5, message: "m", idempotencyKey: "k" }, /at \/sessionKey: must be string/],
    ["chat.send", { sessionKey: "", message: "m", idempotencyKey: "k" }, /at \/sessionKey: /],
    ["chat.send", { sessionKey: "s", message: "m", idempotencyKey: "" }, /at \/idempotencyKey: /],
    ["chat.send", "text", /^invalid chat.send params: must be object$/],
    ["chat.history", { sessionKey: "s", limit: 0 }, /^invalid chat.history params: at \/limit: /],
    ["agent.wait", { runId: "r", timeoutMs: -1 }, /^invalid agent.wait params: at \/timeoutMs: /],
  ])("%s with params %j says where and why", async (name, params, why) => {
    const response = await (await open()).request(name, params);
    expect(response.error?.code).toBe("INVALID_REQUEST");
    expect(response.error?.message).toMatch(why);
  });

  it.each([
    [{ sessionKey: "agent:nobody:main" }, 'Agent "nobody" no longer exists in configuration'],
    [{ sessionKey: "main", agentId: "nobody" }, 'Agent "nobody" no longer exists in configuration'],
    [{ sessionKey: "agent::x" }, "malformed session key: expected agent:<id>:<name>"],
    [
      { sessionKey: "agent:main:x", agentId: "work" },
      'agentId "work" does not match session key agent:main:x',
    ],
    [{ sessionKey: "main", message: "  " }, "message or attachment required"],
  ])("chat.send of %j is refused: %s", async (params, message) => {
    const response = await (
      await open()
    ).request("chat.send", { message: "m", idempotencyKey: "k", ...params });
    expect(response.error).toMatchObject({ code: "INVALID_REQUEST", message });
  });

  const LONG = "k".repeat(10_240);
  const KEYED: readonly (readonly [name: string, params: (key: string) => object])[] = [
    ["chat.send", (sessionKey) => ({ sessionKey, message: "m", idempotencyKey: "k" })],
    ["chat.history", (sessionKey) => ({ sessionKey })],
    ["chat.abort", (sessionKey) => ({ sessionKey })],
    ["chat.inject", (sessionKey) => ({ sessionKey, message: "m" })],
    ["agent", (sessionKey) => ({ sessionKey, message: "m", idempotencyKey: "k" })],
    ["sessions.create", (key) => ({ key })],
    ["sessions.describe", (key) => ({ key })],
    ["sessions.resolve", (key) => ({ key })],
    ["sessions.patch", (key) => ({ key, label: "l" })],
    ["sessions.reset", (key) => ({ key })],
    ["sessions.delete", (key) => ({ key })],
    ["sessions.preview", (key) => ({ keys: [key] })],
    ["sessions.messages.subscribe", (key) => ({ key })],
    ["sessions.list", (spawnedBy) => ({ spawnedBy })],
  ];
  it.each(KEYED)(
    "a session key of 10 KB, too long with its agent, or with control characters is one clear error of %s",
    async (name, params) => {
      const client = await open();
      const limit = "must not have more than 512 characters";
      for (const [key, why] of [
        [LONG, limit],
        [`agent:main:${LONG}`, limit],
        ["k".repeat(505), "it must have 1 to 512 characters and no control characters"],
        ["agent:main:a\u0000b", "no control characters"],
        ["a\nb", "no control characters"],
        ["a\u007fb", "no control characters"],
      ] as const) {
        const { error } = await client.request(name, params(key));
        expect(error?.code).toBe("INVALID_REQUEST");
        expect(error?.message).toContain(why);
        expect(error?.message.length).toBeLessThan(300);
      }
      expect(client.frames.filter(({ type }) => type === "res")).toHaveLength(7); // with the answer to connect
      expect(await client.ok("sessions.list")).toMatchObject({ count: 0 });
    },
  );

  it.each([
    [LONG, "must not have more than 256 characters"],
    ["a\u0000b", "no control characters"],
    ["a\nb", "no control characters"],
  ])("an idempotency key such as %j is one clear error, also of a command", async (idempotencyKey, why) => {
    const client = await open();
    const sends = [
      ["chat.send", { sessionKey: "s", message: "m", idempotencyKey }],
      ["chat.send", { sessionKey: "s", message: "/new", idempotencyKey }],
      ["sessions.send", { key: "s", message: "m", idempotencyKey }],
      ["agent", { sessionKey: "s", message: "m", idempotencyKey }],
    ] as const;
    for (const [name, params] of sends) {
      const { error } = await client.request(name, params);
      expect(error?.code).toBe("INVALID_REQUEST");
      expect(error?.message).toContain(why);
    }
    expect(await client.ok("sessions.list")).toMatchObject({ count: 0 });
  });

  it("an unknown model is refused by agent and by sessions.patch", async () => {
    const client = await open();
    const agent = await client.request("agent", { message: "m", idempotencyKey: "k", model: "nope/none" });
    const patch = await client.request("sessions.patch", { key: "main", model: "nope/none" });
    for (const response of [agent, patch]) {
      expect(response.error?.code).toBe("INVALID_REQUEST");
      expect(response.error?.message).toMatch(/^Unknown provider or model "nope\/none"/);
    }
  });

  it("without scopes only health answers", async () => {
    const { gateway } = await setup();
    const client = await connectWire(gateway, { scopes: [] });
    expect((await client.request("health")).ok).toBe(true);
    expect((await client.request("sessions.list")).error?.code).toBe("FORBIDDEN");
  });
});

describe("a handler that fails", () => {
  it("is one internal error without its text, and the connection stays", async () => {
    const { pool, gateway } = await setup();
    const thrown = ["error", "string", "rejection"] as const;
    const broken = thrown.map((how) =>
      method({
        name: `test.${how}`,
        scope: null,
        params: z.object({}),
        handle: () => {
          if (how === "rejection") return Promise.reject(new Error("secret detail"));
          // oxlint-disable-next-line typescript/only-throw-error -- a library may
          throw how === "error" ? new Error("secret detail") : "secret detail";
        },
      }),
    );
    const client = await connectWire({
      ...gateway,
      methods: methodRegistry([[...gateway.methods.values()], broken]),
    });
    for (const how of thrown) {
      const response = await client.request(`test.${how}`);
      expect(response.error).toMatchObject({ code: "UNAVAILABLE", message: "internal error" });
      expect(JSON.stringify(response)).not.toContain("secret detail");
    }
    expect(pool.logger.lines.filter((line) => line.event === "gateway.request.failed")).toHaveLength(3);
    expect((await client.request("health")).ok).toBe(true);
  });
});

describe("mutated frames", () => {
  it("are each answered at most once, never break the connection and never an internal error", async () => {
    const { gateway } = await setup();
    const random = seededRandom(20_261_122);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random.float() * values.length)] as T;
    const names = [...gateway.methods.keys()].filter((name) => name !== "agent.wait");
    const junk: readonly unknown[] = [
      null,
      true,
      -1,
      1e308,
      "",
      "\u0000",
      "__proto__",
      "a".repeat(1_000),
      [],
      [[]],
      {},
      { toString: 1 },
      "main",
      "agent:main:x",
    ];
    const fields = [
      "sessionKey",
      "key",
      "message",
      "runId",
      "idempotencyKey",
      "limit",
      "keys",
      "attachments",
    ];
    const client = await connectWire(gateway);
    let sent = 0;
    for (let i = 0; i < 2_000; i++) {
      const params: Record<string, unknown> = {};
      for (let j = 0; j < 4; j++) params[pick(fields)] = pick(junk);
      const frame = JSON.stringify({ type: "req", id: `f${i}`, method: pick(names), params });
      const cut = Math.floor(random.float() * frame.length);
      const text = pick([
        frame,
        frame,
        frame.slice(0, cut),
        frame.slice(0, cut) + pick(['"', "{", "\\u0000", "0"]) + frame.slice(cut + 1),
      ]);
      client.raw(text);
      if (text === frame) sent++;
      if (i % 100 === 99) await client.request("health");
    }
    expect(client.closed).toBeNull();
    await client.request("health");
    const answers = new Map<string, number>();
    for (const frame of client.frames) {
      if (frame.type === "res" && frame.id) answers.set(frame.id, (answers.get(frame.id) ?? 0) + 1);
    }
    const answered = [...answers].filter(([id]) => id.startsWith("f"));
    expect(answered.length).toBeGreaterThan(sent / 2);
    const internal = client.frames.filter((frame) => frame.error?.message === "internal error");
    expect(internal).toEqual([]);
  });
});
