import { generateKeyPairSync, hash, sign } from "node:crypto";
import { GatewayClient, type GatewayClientOptions } from "@openclaw/gateway-client";
import { describe, expect, it, onTestFinished } from "vitest";
import { ACME_TOKEN, gatewayPool, handWorker } from "../testing/gateway-pool.ts";
import { until } from "../testing/until.ts";
import { type GatewayHandle, startGateway } from "./main.ts";

const MAIN = "agent:main:main";

interface ChatPayload {
  readonly runId: string;
  readonly state: string;
  readonly deltaText?: string;
  readonly replace?: boolean;
  readonly runSeq: number;
}

const setup = async () => {
  const pool = await gatewayPool();
  const start = async (port = 0): Promise<GatewayHandle> => {
    const gateway = await startGateway(pool.deps({ port, drainSpreadMs: 10 }));
    onTestFinished(() => gateway.close());
    return gateway;
  };
  return { pool, start, gateway: await start(), hand: await handWorker(pool) };
};

/** The published client, unmodified, connected and recording. */
async function chatClient(url: string, options: GatewayClientOptions = {}) {
  const chats: ChatPayload[] = [];
  const gaps: unknown[] = [];
  const closes: number[] = [];
  let hellos = 0;
  const client = new GatewayClient({
    url,
    token: ACME_TOKEN,
    onEvent: (event) => {
      if (event.event === "chat") chats.push(event.payload as ChatPayload);
    },
    onHelloOk: () => void hellos++,
    onGap: (gap) => void gaps.push(gap),
    onClose: (code) => void closes.push(code),
    ...options,
  });
  onTestFinished(() => client.stopAndWait());
  client.start();
  await until(() => hellos > 0, { what: "hello-ok" });
  const end = (runId: string) =>
    until(() => chats.find((chat) => chat.runId === runId && chat.state === "final"), { what: "final" });
  return { client, chats, gaps, closes, end, hellos: () => hellos };
}

describe("@openclaw/gateway-client", () => {
  it("chats: sends, streams, reads history and lists the session", async () => {
    const { gateway, hand } = await setup();
    const { client, chats, gaps, end } = await chatClient(gateway.url);
    await client.request("sessions.subscribe", {});
    const ack = await client.request("chat.send", {
      sessionKey: "main",
      message: "hello",
      idempotencyKey: "k1",
    });
    expect(ack).toEqual({ runId: "k1", status: "started" });
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" });
    for (const text of ["one", " two", " three"]) await run.say({ type: "delta", text });
    await run.finish("one two three");
    await end("k1");
    const deltas = chats.filter((chat) => chat.state === "delta").map((chat) => chat.deltaText);
    expect(deltas.join("")).toBe("one two three");
    const history = await client.request<{ messages: { role: string }[] }>("chat.history", {
      sessionKey: "main",
    });
    expect(history.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    const { sessions } = await client.request<{ sessions: { key: string }[] }>("sessions.list", {});
    expect(sessions.map(({ key }) => key)).toEqual([MAIN]);
    expect(gaps).toEqual([]);
  });

  it("waits for both responses of agent, the duplicate too", async () => {
    const { gateway, hand } = await setup();
    const { client } = await chatClient(gateway.url);
    const accepted: unknown[] = [];
    const ask = () =>
      client.request<{ status: string; result: { payloads: { text: string }[] } }>(
        "agent",
        { sessionKey: "main", message: "hello", idempotencyKey: "a1" },
        { expectFinal: true, onAccepted: (payload) => void accepted.push(payload) },
      );
    const both = [ask(), ask()];
    await until(() => accepted.length === 2);
    await (await hand.claim(MAIN)).finish("the answer");
    for (const answer of await Promise.all(both)) {
      expect(answer).toMatchObject({ status: "ok", result: { payloads: [{ text: "the answer" }] } });
    }
  });

  it("runs agent by whom it is to, by a session's id, with a model, a level of thinking and a time limit", async () => {
    const { gateway, hand } = await setup();
    const { client } = await chatClient(gateway.url);
    let accepted: unknown;
    const ask = async (idempotencyKey: string, params: object, key: string) => {
      const request = { message: "hello", idempotencyKey, ...params };
      const onAccepted = (payload: unknown): void => void (accepted = payload);
      const answer = client.request("agent", request, {
        expectFinal: true,
        onAccepted,
      });
      const run = await hand.claim(key);
      return { run, answer };
    };
    const somebody = await ask(
      "a1",
      { to: "+15550001", model: "demo/two", thinking: "on", timeout: 7 },
      MAIN,
    );
    await until(() => accepted);
    expect(accepted).toMatchObject({ runId: "a1", sessionKey: MAIN, status: "accepted" });
    expect(somebody.run.grant.input.options).toMatchObject({
      model: "demo/two",
      thinking: "low",
      timeoutMs: 7_000,
    });
    await somebody.run.finish("yes");
    expect(await somebody.answer).toMatchObject({ status: "ok", result: { payloads: [{ text: "yes" }] } });
    const named = await ask("a2", { to: "agent:main:Other" }, "agent:main:other");
    await named.run.end("timed_out", { text: "as far as" });
    await expect(named.answer).resolves.toMatchObject({
      status: "timeout",
      result: { payloads: [{ text: "as far as" }] },
    });
    const { sessionId } = await client.request<{ sessionId: string }>("sessions.create", { key: "third" });
    await (await ask("a3", { sessionId }, "agent:main:third")).run.finish("yes");
    const unknown = "agent:main:explicit:no-such-id";
    await (await ask("a4", { sessionId: "No-such-id" }, unknown)).run.finish("yes");
    await (await ask("a5", { sessionId: "no-such-id" }, unknown)).run.finish("yes");
    await expect(
      client.request("agent", { message: "m", idempotencyKey: "a6", thinking: "very" }),
    ).rejects.toThrow("Invalid thinking level. Use one of: off, minimal, low");
  });

  it("with a device identity is verified", async () => {
    const { gateway } = await setup();
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    const { client } = await chatClient(gateway.url, {
      deviceIdentity: {
        deviceId: hash("sha256", raw, "hex"),
        privateKeyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
        publicKeyPem: publicKey.export({ format: "pem", type: "spki" }).toString(),
      },
      hostDeps: {
        signDevicePayload: (pem, payload) => sign(null, Buffer.from(payload), pem).toString("base64url"),
        publicKeyRawBase64UrlFromPem: () => raw.toString("base64url"),
      },
      clientName: "openclaw-tui",
      mode: "ui",
    });
    expect(await client.request("health", {})).toMatchObject({ ok: true });
  });

  it("sent away by a drain goes to the gateway that took over, and hears the rest of its run there", async () => {
    const { gateway, start, hand } = await setup();
    const { client, chats, closes, end, hellos } = await chatClient(gateway.url);
    await client.request("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: "k1" });
    const run = await hand.claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await until(() => chats.some((chat) => chat.state === "delta"));
    const seen = Math.max(...chats.map((chat) => chat.runSeq));
    await gateway.drain();
    expect(closes).toEqual([1012]);
    await run.say({ type: "delta", text: " two" });
    await start(gateway.port);
    await until(() => hellos() === 2, { timeoutMs: 20_000 });
    await client.request("openclaw-ha.runs.follow", {
      runId: "k1",
      sessionKey: "main",
      afterRunSeq: seen,
    });
    await run.say({ type: "delta", text: " three" });
    await run.finish("one two three");
    await end("k1");
    let text = "";
    for (const { state, deltaText, replace } of chats) {
      if (state === "delta") text = replace ? (deltaText ?? "") : text + (deltaText ?? "");
    }
    expect(text).toBe("one two three");
    expect(chats.filter((chat) => chat.state === "final")).toHaveLength(1);
  });
});
