import { generateKeyPairSync, hash, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { gatewayPool, OTHER_TOKEN, READER_TOKEN } from "../testing/gateway-pool.ts";
import { connectParamsOf, connectWire, WireClient } from "../testing/wire-client.ts";
import { until } from "../testing/until.ts";
import { assembleGateway } from "./assemble.ts";
import { signedTexts } from "./protocol/device-proof.ts";

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway, beginDraining } = assembleGateway(pool.deps());
  return { pool, gateway, beginDraining };
};

/** Sends one connect and answers what came back, and how the socket was closed. */
async function attempt(
  params: Readonly<Record<string, unknown>>,
  upgrade = { origin: undefined as string | undefined, host: "gateway.local" as string | undefined },
) {
  const { gateway } = await setup();
  const client = new WireClient(gateway, upgrade);
  const response = await client.request("connect", { ...connectParamsOf(), ...params });
  return { client, response, closed: client.closed };
}

const as = (id: string, mode: string) => ({ client: { id, mode, version: "1", platform: "Linux" } });

interface ProofFields {
  readonly version?: "v2" | "v3";
  readonly nonce?: string;
  readonly id?: string;
  readonly signedAt?: number;
  readonly signature?: string;
  readonly publicKey?: string;
}

/** A connect signed with a new device key against the challenge of a fresh connection; `change` spoils the proof. */
async function signedConnect(clientOf: ReturnType<typeof as>, change: ProofFields = {}) {
  const { gateway } = await setup();
  const client = new WireClient(gateway, { origin: "https://gateway.local", host: "gateway.local" });
  const challenge = client.events("connect.challenge")[0]?.payload as { nonce: string; ts: number };
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const scopes = ["operator.read"];
  const device = {
    id: change.id ?? hash("sha256", raw, "hex"),
    publicKey: change.publicKey ?? raw.toString("base64url"),
    signature: "",
    signedAt: change.signedAt ?? challenge.ts,
    nonce: change.nonce ?? challenge.nonce,
  };
  const texts = signedTexts(device, {
    clientId: clientOf.client.id,
    clientMode: clientOf.client.mode,
    role: "operator",
    scopes,
    token: "token-of-acme",
    platform: clientOf.client.platform,
    deviceFamily: undefined,
    nonce: challenge.nonce,
    challengeTs: challenge.ts,
  });
  const text = texts[change.version === "v2" ? 1 : 0] ?? "";
  const signature = change.signature ?? sign(null, Buffer.from(text), privateKey).toString("base64url");
  const response = await client.request("connect", {
    ...connectParamsOf(),
    ...clientOf,
    scopes,
    device: { ...device, signature },
  });
  return { response, closed: client.closed };
}

describe("challenge", () => {
  it("is sent at once, with a nonce and an integer time, without seq and without capabilities", async () => {
    const { gateway } = await setup();
    const client = new WireClient(gateway);
    const [frame] = client.frames;
    expect(frame).toMatchObject({ type: "event", event: "connect.challenge" });
    expect(frame).not.toHaveProperty("seq");
    expect(Object.keys(frame?.payload ?? {}).sort()).toEqual(["nonce", "ts"]);
    expect(Number.isInteger(frame?.payload?.["ts"])).toBe(true);
  });
});

describe("protocol version", () => {
  it.each([
    [4, 4],
    [3, 5],
    [1, 4],
  ])("%i to %i is accepted", async (minProtocol, maxProtocol) => {
    expect((await attempt({ minProtocol, maxProtocol })).response.ok).toBe(true);
  });

  it.each([
    [5, 6],
    [1, 3],
  ])("%i to %i is refused with the expected version, close 1002", async (minProtocol, maxProtocol) => {
    const { response, closed } = await attempt({ minProtocol, maxProtocol });
    expect(response.error).toEqual({
      code: "INVALID_REQUEST",
      message: "protocol mismatch",
      details: {
        code: "PROTOCOL_MISMATCH",
        clientMinProtocol: minProtocol,
        clientMaxProtocol: maxProtocol,
        expectedProtocol: 4,
        minimumProbeProtocol: 3,
      },
    });
    expect(closed).toEqual({ code: 1002, reason: "protocol mismatch" });
  });
});

describe("identity without a device, with a good token", () => {
  it.each([
    ["gateway-client", "backend", ["operator.admin"]],
    ["cli", "cli", ["operator.admin"]],
    ["cli", "backend", []],
    ["cli", "probe", []],
    ["gateway-client", "ui", []],
    ["gateway-client", "cli", []],
  ])("%s/%s is accepted with scopes %j, from anywhere", async (id, mode, scopes) => {
    const { response } = await attempt(as(id, mode), { origin: undefined, host: "far.example" });
    expect(response.payload).toMatchObject({ type: "hello-ok", auth: { role: "operator", scopes } });
  });

  it.each([
    ["openclaw-tui", "ui", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", "https://gateway.local"],
    ["openclaw-control-ui", "webchat", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", "https://gateway.local"],
    ["openclaw-control-ui", "webchat", "CONTROL_UI_ORIGIN_NOT_ALLOWED", "https://evil.example"],
    ["openclaw-control-ui", "webchat", "CONTROL_UI_ORIGIN_NOT_ALLOWED", undefined],
    ["webchat-ui", "webchat", "CONTROL_UI_ORIGIN_NOT_ALLOWED", undefined],
  ])("%s/%s is refused with %s from origin %s", async (id, mode, code, origin) => {
    const { response, closed } = await attempt(as(id, mode), { origin, host: "gateway.local" });
    expect(response.error?.details).toMatchObject({ code });
    expect(closed?.code).toBe(1008);
  });

  it("an unknown client id is a bad parameter", async () => {
    const { response, closed } = await attempt(as("nobody", "cli"));
    expect(response.error?.message).toMatch(/^invalid connect params: at \/client\/id: /);
    expect(closed?.code).toBe(1008);
  });

  it("another role is refused", async () => {
    const { response } = await attempt({ role: "emperor" });
    expect(response.error).toMatchObject({ code: "INVALID_REQUEST", message: "invalid role" });
  });
});

describe("token", () => {
  it.each([{ token: "token-of-acme" }, { password: "token-of-acme" }, { deviceToken: "token-of-acme" }])(
    "is taken from %j",
    async (auth) => {
      expect((await attempt({ auth })).response.ok).toBe(true);
    },
  );

  it("that is wrong is refused once and clearly, close 1008", async () => {
    const { response, closed } = await attempt({ auth: { token: "guess" } });
    expect(response.error).toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringMatching(/^unauthorized: gateway token mismatch/) as string,
      details: { code: "AUTH_TOKEN_MISMATCH", authReason: "token_mismatch" },
    });
    expect(closed?.code).toBe(1008);
  });

  it("and device both missing is NOT_PAIRED", async () => {
    const { response, closed } = await attempt({ auth: {} });
    expect(response.error).toMatchObject({
      code: "NOT_PAIRED",
      details: { code: "DEVICE_IDENTITY_REQUIRED" },
    });
    expect(closed?.code).toBe(1008);
  });

  it("binds the connection to its tenant: the other tenant's sessions do not exist", async () => {
    const { gateway } = await setup();
    const acme = await connectWire(gateway);
    const other = await connectWire(gateway, { token: OTHER_TOKEN });
    await acme.ok("sessions.create", { key: "secret" });
    expect(await other.ok("sessions.describe", { key: "secret" })).toEqual({ session: null });
    expect((await other.ok("sessions.list")).totalCount).toBe(0);
  });

  it("bounds the scopes: asking for admin gives what the token has", async () => {
    const { gateway } = await setup();
    const reader = await connectWire(gateway, { token: READER_TOKEN, scopes: ["operator.admin"] });
    expect((await reader.request("sessions.list")).ok).toBe(true);
    const refused = await reader.request("chat.send", {
      sessionKey: "main",
      message: "hi",
      idempotencyKey: "k",
    });
    expect(refused.error).toEqual({
      code: "FORBIDDEN",
      message: "missing scope: operator.write",
      details: {
        code: "MISSING_SCOPE",
        missingScope: "operator.write",
        requiredScopes: ["operator.write"],
      },
    });
  });

  it("is looked up once for many connections of the same five seconds", async () => {
    const { pool, gateway } = await setup();
    await Promise.all(Array.from({ length: 20 }, () => connectWire(gateway)));
    await connectWire(gateway);
    expect(pool.directory.calls.filter((call) => call === "authenticate")).toHaveLength(1);
  });

  it("that was good a moment ago still serves while Postgres is away; an unknown one is told to retry", async () => {
    const { pool, gateway } = await setup();
    await connectWire(gateway);
    pool.directory.break("before");
    await connectWire(gateway);
    const stranger = new WireClient(gateway);
    const response = await stranger.request("connect", connectParamsOf({ token: OTHER_TOKEN }));
    expect(response.error).toMatchObject({ code: "UNAVAILABLE", retryable: true, retryAfterMs: 1_000 });
    expect(stranger.closed?.code).toBe(1013);
  });

  it("that was revoked is forgotten after five seconds", async () => {
    const clock = fakeClock();
    const pool = await gatewayPool({ clock });
    const { gateway } = assembleGateway(pool.deps());
    await connectWire(gateway);
    pool.directory.break("before");
    await clock.advance(5_001);
    const client = new WireClient(gateway);
    expect((await client.request("connect", connectParamsOf())).error?.code).toBe("UNAVAILABLE");
  });
});

describe("device proof", () => {
  it.each(["v3", "v2"] as const)(
    "signed as %s is verified and keeps the scopes asked for",
    async (version) => {
      const { response } = await signedConnect(as("openclaw-tui", "ui"), { version });
      expect(response.payload).toMatchObject({ type: "hello-ok", auth: { scopes: ["operator.read"] } });
    },
  );

  it("of the Control UI from its own origin is accepted", async () => {
    expect((await signedConnect(as("openclaw-control-ui", "webchat"))).response.ok).toBe(true);
  });

  it.each([
    ["another nonce", { nonce: "x" }, "DEVICE_AUTH_NONCE_MISMATCH"],
    ["no nonce", { nonce: "" }, "DEVICE_AUTH_NONCE_REQUIRED"],
    ["an id that is not the key's hash", { id: "00".repeat(32) }, "DEVICE_AUTH_DEVICE_ID_MISMATCH"],
    ["an old time", { signedAt: 1_000 }, "DEVICE_AUTH_SIGNATURE_EXPIRED"],
    [
      "a forged signature",
      { signature: Buffer.alloc(64, 7).toString("base64url") },
      "DEVICE_AUTH_SIGNATURE_INVALID",
    ],
    ["a signature of another length", { signature: "abc" }, "DEVICE_AUTH_SIGNATURE_INVALID"],
    ["a key that is none", { publicKey: "abc" }, "DEVICE_AUTH_PUBLIC_KEY_INVALID"],
  ])("with %s is refused, close 1008", async (_what, change, code) => {
    const { response, closed } = await signedConnect(as("cli", "cli"), change);
    expect(response.error?.details).toMatchObject({ code });
    expect(closed?.code).toBe(1008);
  });
});

describe("hello-ok", () => {
  it("advertises exactly the methods that answer, and the policy of protocol 4", async () => {
    const { gateway } = await setup();
    const client = new WireClient(gateway);
    const { payload } = await client.request("connect", connectParamsOf());
    const { methods, events } = (payload ?? {})["features"] as { methods: string[]; events: string[] };
    for (const name of methods) {
      const response = await client.request(name, {});
      expect(response.error?.message ?? "").not.toMatch(/^unknown method/);
    }
    expect(methods).toHaveLength(new Set(methods).size);
    expect(events).toContain("session.message");
    expect(payload).toMatchObject({
      features: { capabilities: expect.arrayContaining(["published-model-catalog"]) as unknown },
    });
    expect(payload).toMatchObject({
      protocol: 4,
      server: { version: "0.0.0-test" },
      policy: { maxPayload: 26_214_400, maxBufferedBytes: 52_428_800, tickIntervalMs: 30_000 },
      snapshot: { sessionDefaults: { mainSessionKey: "agent:main:main" }, health: { ok: true } },
    });
  });

  it("is followed by what the client sent right behind connect, in order", async () => {
    const { gateway } = await setup();
    const client = new WireClient(gateway);
    const connect = client.send("connect", connectParamsOf());
    const health = client.send("health");
    await client.response(health);
    const answers = client.frames.filter((frame) => frame.type === "res").map((frame) => frame.id);
    expect(answers).toEqual([connect, health]);
  });

  it("is not given by a gateway that drains", async () => {
    const { gateway, beginDraining } = await setup();
    beginDraining();
    const client = new WireClient(gateway);
    const response = await client.request("connect", connectParamsOf());
    expect(response.error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    await until(() => client.closed);
    expect(client.closed?.code).toBe(1013);
  });
});
