import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { ACME, ACME_TOKEN, gatewayPool } from "../../testing/gateway-pool.ts";
import { until } from "../../testing/until.ts";
import type { GatewaySettings } from "../context.ts";
import { startGateway } from "../main.ts";

async function setup(settings: Partial<GatewaySettings> = {}) {
  const pool = await gatewayPool();
  const gateway = await startGateway(pool.deps(settings));
  onTestFinished(() => gateway.close());
  const runs = () => pool.ledger.port.list(ACME, { limit: 10 });
  return { port: gateway.port, runs };
}

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
  /** The server ended the connection. */
  readonly closed: boolean;
}

/** Sends bytes as they are, and reads until the server closes or has said nothing for a while. */
function raw(port: number, pieces: readonly (string | Buffer)[], quietMs = 300): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let text = "";
    const done = (closed: boolean): void => {
      const [headers = "", ...body] = text.split("\r\n\r\n");
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(headers)?.[1] ?? 0);
      resolve({ status, headers, body: body.join("\r\n\r\n"), closed });
    };
    socket.on("data", (data) => (text += data.toString()));
    socket.on("close", () => done(true));
    socket.on("error", reject);
    socket.setTimeout(quietMs, () => text !== "" && done(false));
    for (const piece of pieces) socket.write(piece);
  });
}

const chat = (headers: readonly string[], path = "/v1/chat/completions"): string =>
  [
    `POST ${path} HTTP/1.1`,
    "Host: x",
    "Connection: close",
    `Authorization: Bearer ${ACME_TOKEN}`,
    "Content-Type: application/json",
    ...headers,
    "",
    "",
  ].join("\r\n");

const errorOf = ({ body }: Answer): { message: string; type: string } =>
  (JSON.parse(body) as { error: { message: string; type: string } }).error;

describe("a request that cannot be", () => {
  it.each([
    ["of another type", ["Content-Length: 2"], "{}", 415, "Content-Type"],
    ["compressed", ["Content-Length: 2", "Content-Encoding: gzip"], "{}", 415, "Content-Encoding"],
    ["no JSON", ["Content-Length: 4"], "{bad", 400, "JSON"],
    ["no UTF-8", ["Content-Length: 2"], Buffer.from([0xff, 0xfe]), 400, "UTF-8"],
    ["an array", ["Content-Length: 2"], "[]", 400, "must be object"],
    ["too large by its own word", ["Content-Length: 999999999"], "", 413, "Payload too large"],
  ])("%s is one clear error", async (what, headers, body, status, message) => {
    const { port, runs } = await setup();
    const head = chat(headers);
    const sent = what === "of another type" ? head.replace("application/json", "text/plain") : head;
    const answer = await raw(port, [sent, body]);
    expect(answer.status).toBe(status);
    expect(errorOf(answer).message).toContain(message);
    expect(await runs()).toEqual([]);
  });

  it("that grows past the limit without having said so is cut there", async () => {
    const { port } = await setup({ limits: { httpBodyBytes: 64 * 1024 } });
    const chunk = `8000\r\n${"x".repeat(0x8000)}\r\n`;
    const answer = await raw(port, [
      chat(["Transfer-Encoding: chunked"]),
      ...Array.from({ length: 8 }, () => chunk),
    ]);
    expect(answer).toMatchObject({ status: 413, closed: true });
    expect(answer.headers).toContain("Connection: close");
  });

  it("shares one allowance for all bodies that are being read", async () => {
    const { port } = await setup({ limits: { httpBodiesBytes: 100_000 } });
    const half = "x".repeat(60_000);
    const waiting = connect(port, "127.0.0.1");
    onTestFinished(() => void waiting.destroy());
    waiting.write(chat(["Content-Length: 120000"]) + half);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const answer = await raw(port, [chat(["Content-Length: 120000"]) + half]);
    expect(answer.status).toBe(429);
    expect(answer.headers).toContain("Retry-After: 1");
    waiting.destroy();
    const small = chat(["Content-Length: 60000"]) + half;
    const statuses: number[] = [];
    await until(async () => statuses.push((await raw(port, [small])).status) > 0 && statuses.at(-1) !== 429);
    expect(statuses.at(-1)).toBe(400); // read as a whole: it is no JSON
  });

  it.each([
    ["body", [chat(["Content-Length: 100"]), "{"]],
    ["headers", ["POST /v1/responses HTTP/1.1\r\nHost: x\r\nX-Slow: "]],
  ])("whose %s never ends is told so and cut", async (_what, pieces) => {
    const { port, runs } = await setup({ limits: { httpRequestMs: 300 } });
    const answer = await raw(port, pieces, 5_000);
    expect(answer).toMatchObject({ status: 408, closed: true });
    expect(errorOf(answer).message).toContain("did not arrive in time");
    expect(await runs()).toEqual([]);
  });

  it("with huge headers is 431", async () => {
    const { port } = await setup();
    const answer = await raw(port, [chat([`X-Huge: ${"x".repeat(20_000)}`])]);
    expect(answer).toMatchObject({ status: 431, closed: true });
    expect(errorOf(answer).message).toContain("headers too large");
  });

  it("that is no HTTP is 400", async () => {
    const { port } = await setup();
    const answer = await raw(port, ["hello there\r\n\r\n"]);
    expect(answer).toMatchObject({ status: 400, closed: true });
    expect(errorOf(answer).type).toBe("invalid_request_error");
  });

  it("without a token is refused before its body has come", async () => {
    const { port } = await setup();
    const head = chat(["Content-Length: 20000000"]).replace(/Authorization.*\r\n/, "");
    const answer = await raw(port, [head]);
    expect(answer).toMatchObject({ status: 401, closed: true });
    expect(JSON.parse(answer.body)).toEqual({ error: { message: "Unauthorized", type: "unauthorized" } });
  });

  it.each([
    ["GET /v1/chat/completions", 405, "Allow: POST"],
    ["DELETE /v1/models", 405, "Allow: GET"],
    ["POST /v1/embeddings", 404, "application/json"],
    ["GET /v1/models/%ff", 400, "application/json"],
    ["POST /nowhere", 404, "application/json"],
    ["GET /api/nope", 404, "application/json"],
    ["POST /healthz", 405, "Allow: GET, HEAD"],
  ])("%s is %i", async (line, status, header) => {
    const { port } = await setup();
    const request = `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${ACME_TOKEN}\r\nContent-Length: 0\r\n\r\n`;
    const answer = await raw(port, [request]);
    expect(answer.status).toBe(status);
    expect(answer.headers).toContain(header);
  });
});
