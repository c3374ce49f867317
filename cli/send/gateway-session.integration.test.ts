import { describe, expect, it, onTestFinished } from "vitest";
import { startGateway } from "../../server/gateway/main.ts";
import { ACME_TOKEN, gatewayPool } from "../../server/testing/gateway-pool.ts";
import { startTcpProxy } from "../../server/testing/tcp-proxy.ts";
import { type GatewaySessionOptions, openGatewaySession, refusal } from "./gateway-session.ts";

async function setup() {
  const pool = await gatewayPool();
  const gateway = await startGateway(pool.deps());
  onTestFinished(() => gateway.close());
  const front = await startTcpProxy(Number(new URL(gateway.url).port));
  onTestFinished(() => front.close());
  const open = (more: Partial<GatewaySessionOptions> = {}) =>
    openGatewaySession({
      url: `ws://127.0.0.1:${front.port}`,
      token: ACME_TOKEN,
      version: "0.0.0-test",
      onEvent: () => {},
      signal: new AbortController().signal,
      ...more,
    });
  return { front, gateway, open };
}

describe("openGatewaySession", () => {
  it("authenticates and asks", async () => {
    const session = await (await setup()).open();
    expect(await session.request("agents.list", {})).toMatchObject({ defaultId: "main" });
    session.close();
    await session.closed;
  });

  it("tells the gateway's refusals as errors", async () => {
    const { open } = await setup();
    await expect(open({ token: "wrong" })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    const session = await open();
    await expect(session.request("no.such.method", {})).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  });

  it("says STORE_UNAVAILABLE where nothing listens", async () => {
    const { open } = await setup();
    await expect(open({ url: "ws://127.0.0.1:1" })).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("fails what it was asked when the connection is cut", async () => {
    const { front, open } = await setup();
    const session = await open();
    front.holdAnswers(true);
    const asked = session.request("agents.list", {});
    front.cut();
    await expect(asked).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await session.closed;
    await expect(session.request("agents.list", {})).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("gives up a gateway that takes the connection and says nothing, as one that is paused", async () => {
    const { front, open } = await setup();
    front.blackHole(true);
    await expect(open()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("notices a gateway that stops answering in the middle", async () => {
    const { front, open } = await setup();
    const session = await open();
    front.blackHole(true);
    await session.closed;
    await expect(session.request("agents.list", {})).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("ends when the signal aborts, before and after the handshake", async () => {
    const { open } = await setup();
    const early = new AbortController();
    early.abort();
    await expect(open({ signal: early.signal })).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    const late = new AbortController();
    const session = await open({ signal: late.signal });
    late.abort();
    await session.closed;
  });
});

describe("refusal", () => {
  it.each([
    [{ code: "UNAVAILABLE", message: "busy", retryable: true, retryAfterMs: 250 }, "OVERLOADED"],
    [
      { code: "INVALID_REQUEST", message: "x", details: { reason: "chat-request-conflict" } },
      "REQUEST_CONFLICT",
    ],
    [{ code: "INVALID_REQUEST", message: "x", details: { code: "AUTH_TOKEN_MISMATCH" } }, "UNAUTHORIZED"],
    [{ code: "FORBIDDEN", message: "missing scope: operator.write" }, "FORBIDDEN"],
    [{ code: "INVALID_REQUEST", message: "unknown method: x" }, "REQUEST_INVALID"],
  ])("of %j is %s", (error, code) => {
    expect(refusal(error)).toMatchObject({ code, message: error.message });
  });

  it("keeps the delay that the gateway asks for", () => {
    expect(refusal({ code: "UNAVAILABLE", message: "busy", retryAfterMs: 250 }).details).toEqual({
      retryAfterMs: 250,
    });
  });
});
