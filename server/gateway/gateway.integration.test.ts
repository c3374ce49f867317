import { request } from "node:http";
import { connect as connectTcp } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { fakeClock, type FakeClock } from "../testing/fake-clock.ts";
import { ACME_TOKEN, gatewayPool, handWorker } from "../testing/gateway-pool.ts";
import { connectParamsOf, type Frame } from "../testing/wire-client.ts";
import { until } from "../testing/until.ts";
import type { GatewaySettings } from "./context.ts";
import { type GatewayHandle, startGateway } from "./main.ts";

const setup = async (settings: Partial<GatewaySettings> = {}, clock?: FakeClock) => {
  const pool = await gatewayPool({ clock });
  const start = async (more: Partial<GatewaySettings> = {}): Promise<GatewayHandle> => {
    const gateway = await startGateway(pool.deps({ drainSpreadMs: 50, ...settings, ...more }));
    onTestFinished(() => gateway.close());
    return gateway;
  };
  return { pool, start, gateway: await start() };
};

/** A raw WebSocket and what came over it. */
async function open(url: string) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  onTestFinished(() => socket.terminate());
  const frames: Frame[] = [];
  let closed: { code: number; reason: string } | null = null;
  socket.on("message", (data: Buffer) => void frames.push(JSON.parse(data.toString()) as Frame));
  socket.on("close", (code, reason) => (closed = { code, reason: reason.toString() }));
  socket.on("error", () => undefined);
  await until(() => frames.length > 0, { what: "the challenge" });
  const send = (id: string, method: string, params?: unknown): void =>
    socket.send(JSON.stringify({ type: "req", id, method, params }));
  const response = (id: string) =>
    until(() => frames.find((frame) => frame.type === "res" && frame.id === id), { what: `response ${id}` });
  const closing = () => until(() => closed, { what: "the close" });
  const hello = async (): Promise<void> => {
    send("hello", "connect", connectParamsOf());
    expect((await response("hello")).ok).toBe(true);
  };
  return { socket, frames, send, response, closing, hello };
}

const http = (port: number, path: string, method = "GET") =>
  new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    asked.on("error", reject);
    asked.end();
  });

describe("limits of a socket", () => {
  it("a frame above 64 KiB before connect closes 1009, before it has arrived as a whole", async () => {
    const { gateway } = await setup();
    const client = await open(gateway.url);
    client.socket.send("x".repeat(20 * 1024 * 1024));
    expect((await client.closing()).code).toBe(1009);
  });

  it("a frame above the limit after connect closes 1009, one of 2 MB does not", async () => {
    const { gateway } = await setup({ limits: { frameBytes: 4 * 1024 * 1024 } });
    const client = await open(gateway.url);
    await client.hello();
    const message = "x".repeat(2 * 1024 * 1024);
    client.send("big", "chat.send", { sessionKey: "main", message, idempotencyKey: "k1" });
    expect((await client.response("big")).payload).toEqual({ runId: "k1", status: "started" });
    client.socket.send("x".repeat(5 * 1024 * 1024));
    expect((await client.closing()).code).toBe(1009);
  });

  it("a binary frame is read as the text that it holds", async () => {
    const { gateway } = await setup();
    const stranger = await open(gateway.url);
    stranger.socket.send(Buffer.from("{}"));
    expect(await stranger.closing()).toEqual({ code: 1008, reason: "invalid request frame" });
    const client = await open(gateway.url);
    await client.hello();
    client.socket.send(Buffer.from(JSON.stringify({ type: "req", id: "binary", method: "health" })));
    expect((await client.response("binary")).ok).toBe(true);
    client.socket.send(Buffer.from([0xff, 0xfe, 0x00])); // no text at all: ignored, as text that is no JSON
    client.send("after", "health");
    expect((await client.response("after")).ok).toBe(true);
  });

  it("no connect within 15 s closes 1000 without a reason; a connected one stays", async () => {
    const clock = fakeClock();
    const { gateway } = await setup({}, clock);
    const silent = await open(gateway.url);
    const connected = await open(gateway.url);
    await connected.hello();
    await clock.advance(14_000);
    expect(silent.socket.readyState).toBe(WebSocket.OPEN);
    await clock.advance(2_000);
    expect(await silent.closing()).toEqual({ code: 1000, reason: "" });
    expect(connected.socket.readyState).toBe(WebSocket.OPEN);
  });

  it("a half-open socket is cut after the second ping it does not answer, others get a tick every 30 s", async () => {
    const clock = fakeClock();
    const { gateway } = await setup({}, clock);
    const deaf = await open(gateway.url);
    await deaf.hello();
    const well = await open(gateway.url);
    await well.hello();
    deaf.socket.pause();
    let pongs = 0;
    well.socket.on("ping", () => pongs++);
    await clock.advance(25_000);
    await until(() => pongs === 1);
    await clock.advance(25_000);
    await until(() => pongs === 2);
    deaf.socket.resume();
    expect((await deaf.closing()).code).toBe(1006);
    expect(well.socket.readyState).toBe(WebSocket.OPEN);
    expect(well.frames.filter((frame) => frame.event === "tick")).toHaveLength(1);
  });

  it("more connections than allowed are refused with 429", async () => {
    const { gateway } = await setup({ limits: { maxConnections: 1 } });
    await open(gateway.url);
    const socket = new WebSocket(gateway.url);
    const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
    expect(error.message).toContain("429");
  });
});

describe("a flood", () => {
  it("of 10,000 requests on one socket is answered one by one, and nobody else is disturbed", async () => {
    const { gateway } = await setup();
    const flooder = await open(gateway.url);
    await flooder.hello();
    const other = await open(gateway.url);
    await other.hello();
    for (let i = 0; i < 10_000; i++) {
      flooder.send(`f${i}`, "chat.send", { sessionKey: `s${i}`, message: "m", idempotencyKey: `k${i}` });
    }
    other.send("mine", "chat.send", { sessionKey: "mine", message: "m", idempotencyKey: "mine" });
    expect((await other.response("mine")).payload?.["status"]).toBe("started");
    await until(() => flooder.frames.filter((frame) => frame.type === "res").length === 10_001, {
      timeoutMs: 30_000,
    });
    const refusals = flooder.frames.filter((frame) => frame.type === "res" && !frame.ok);
    for (const { error } of refusals) expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  });

  it("of a client that reads nothing waits in its own kernel: the process buffers a bounded amount", async () => {
    const dropAboveBytes = 256 * 1024;
    const { gateway, pool } = await setup({ limits: { dropAboveBytes } });
    const reader = await open(gateway.url);
    await reader.hello();
    for (let i = 0; i < 50; i++) {
      await pool.sessions.port.create("acme" as never, {
        key: `agent:main:s${i}` as never,
        agentId: "main" as never,
        sessionId: `${i}`,
        createdVia: "test",
        label: `${i}`.padEnd(500, "l"),
      });
    }
    const silent = await open(gateway.url);
    await silent.hello();
    silent.socket.pause();
    for (let i = 0; i < 5_000; i++) silent.send(`q${i}`, "sessions.list", { limit: 50 });
    const lists = () => pool.sessions.calls.filter((call) => call === "list").length;
    await until(() => lists() > 0);
    reader.send("still", "sessions.list");
    expect((await reader.response("still")).ok).toBe(true);
    expect(lists()).toBeLessThan(2_500);
    expect(silent.socket.readyState).toBe(WebSocket.OPEN);
    silent.socket.resume();
    await until(() => silent.frames.filter((frame) => frame.type === "res").length === 5_001, {
      timeoutMs: 40_000,
    });
  });
});

describe("HTTP", () => {
  it("answers OpenClaw's probes under both names, to GET and HEAD only", async () => {
    const { gateway } = await setup();
    for (const path of ["/health", "/healthz"]) {
      expect(await http(gateway.port, path)).toMatchObject({
        status: 200,
        body: '{"ok":true,"status":"live"}',
        headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" },
      });
    }
    for (const path of ["/ready", "/readyz"]) {
      const { status, body } = await http(gateway.port, path);
      expect(status).toBe(200);
      expect(JSON.parse(body)).toMatchObject({ ready: true, failing: [] });
    }
    for (const path of ["/startup", "/startupz?verbose"]) {
      const { body } = await http(gateway.port, path);
      expect(JSON.parse(body)).toMatchObject({ ok: true, status: "started", version: "0.0.0-test" });
    }
    const head = await http(gateway.port, "/readyz", "HEAD");
    expect(head).toMatchObject({ status: 200, body: "" });
    const post = await http(gateway.port, "/healthz", "POST");
    expect(post).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    const other = await http(gateway.port, "/api/nope");
    expect(other.status).toBe(404);
    expect(JSON.parse(other.body)).toMatchObject({ error: { type: "not_found" } });
  });

  it("readyz says why not: Postgres away", async () => {
    const { gateway, pool } = await setup();
    pool.ledger.break("before");
    const { status, body } = await http(gateway.port, "/readyz");
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ ready: false, failing: ["postgres"] });
    expect((await http(gateway.port, "/healthz")).status).toBe(200);
  });

  it("metrics count connections, requests and events, per gateway", async () => {
    const { gateway } = await setup();
    const client = await open(gateway.url);
    await client.hello();
    client.send("1", "health");
    client.send("2", "nope");
    await client.response("2");
    const { body } = await http(gateway.port, "/metrics");
    expect(body).toContain('openclaw_ha_gateway_connections{instance="gateway-1"} 1');
    expect(body).toMatch(/requests_total\{method="health",outcome="ok".*\} 1/);
    expect(body).toMatch(/requests_total\{method="unknown",outcome="invalid".*\} 1/);
  });

  it("bytes that are no HTTP and no WebSocket do no harm", async () => {
    const { gateway } = await setup();
    for (const text of ["\u0000\u0001garbage\r\n\r\n", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"]) {
      const socket = connectTcp(gateway.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.resume();
      socket.write(text);
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect((await http(gateway.port, "/healthz")).status).toBe(200);
  });
});

describe("ports", () => {
  it("one port may be shared by several gateways, beside their own", async () => {
    const { start, gateway } = await setup();
    const probe = await start({ instance: "probe" });
    const sharedPort = probe.port;
    await probe.close();
    const two = await start({ instance: "gateway-2", sharedPort });
    await start({ instance: "gateway-3", sharedPort });
    expect(two.port).not.toBe(sharedPort);
    const shared = await open(`ws://127.0.0.1:${sharedPort}`);
    await shared.hello();
    await two.drain();
    for (let i = 0; i < 5; i++) expect((await http(sharedPort, "/readyz")).status).toBe(200);
    expect((await http(gateway.port, "/readyz")).status).toBe(200);
  });

  it("a port that is taken is said with host and port", async () => {
    const { start, gateway } = await setup();
    await expect(start({ port: gateway.port })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: `cannot listen on 127.0.0.1:${gateway.port} (EADDRINUSE)`,
    });
  });
});

describe("drain", () => {
  it("answers what is under way, says shutdown, closes 1012 and stops listening", async () => {
    const { pool, gateway } = await setup();
    const client = await open(gateway.url);
    await client.hello();
    const hand = await handWorker(pool);
    client.send("sent", "chat.send", { sessionKey: "main", message: "m", idempotencyKey: "k1" });
    await client.response("sent");
    const run = await hand.claim("agent:main:main");
    const drained = gateway.drain();
    const again = gateway.drain();
    expect((await http(gateway.port, "/readyz")).body).toContain('"failing":["gateway-draining"]');
    const refused = new WebSocket(gateway.url);
    const error = await new Promise<Error>((resolve) => refused.once("error", resolve));
    expect(error.message).toContain("503");
    expect(await client.closing()).toEqual({ code: 1012, reason: "service restart" });
    expect(client.frames.at(-1)).toMatchObject({
      event: "shutdown",
      payload: { restartExpectedMs: expect.any(Number) as number },
    });
    await Promise.all([drained, again]);
    await expect(http(gateway.port, "/healthz")).rejects.toThrow("ECONNREFUSED");
    await run.finish("the run goes on");
    expect((await pool.ledger.port.get(run.grant.tenant, run.grant.runId))?.status).toBe("succeeded");
  });

  it("cuts a client that does not answer the close, within seconds", async () => {
    const { gateway } = await setup();
    const client = await open(gateway.url);
    await client.hello();
    client.socket.pause();
    await gateway.drain();
    client.socket.resume();
    expect((await client.closing()).code).toBe(1012);
  });
});

it("a token never appears in the log", async () => {
  const { gateway, pool } = await setup();
  const client = await open(gateway.url);
  client.send("1", "connect", connectParamsOf({ token: "a-wrong-token" }));
  await client.closing();
  const good = await open(gateway.url);
  await good.hello();
  const log = JSON.stringify(pool.logger.lines);
  expect(log).not.toContain("a-wrong-token");
  expect(log).not.toContain(ACME_TOKEN);
});
