import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { connectSocket, openSocket, type SocketClient } from "../../server/testing/socket-client.ts";
import { connectParamsOf } from "../../server/testing/wire-client.ts";

/** An idle gateway has some 120 MB, and a frame of 25 MiB is held a few times over while it is read. */
const RSS_MAX_MB = 500;

let deployment: TestDeployment;
let url: string;
let token: string;
let gatewayPid: number;
/** Another client of the same gateway, whom none of this may disturb. */
let bystander: SocketClient;
let greetings = 0;

beforeAll(async () => {
  deployment = await startDeployment({ gateways: 1, workers: 1 });
  url = String((await deployment.status()).instances[0]?.url);
  token = String((await deployment.env())["OPENCLAW_GATEWAY_TOKEN"]);
  gatewayPid = await deployment.pidOf("gateway-1");
  bystander = await deployment.connect(url, { caps: ["session-scoped-events"] });
  await bystander.ok("sessions.messages.subscribe", { key: "bystander" });
  return () => deployment.close();
});

/** A client that is cut when its test is over. */
async function connect(): Promise<SocketClient> {
  const client = await connectSocket(url, { token });
  onTestFinished(() => client.terminate());
  return client;
}

/** The other client still chats on its old connection, its gateway still is the same process, of bounded size. */
async function expectUndisturbed(): Promise<void> {
  const runId = `greeting-${++greetings}`;
  await bystander.ok("chat.send", { sessionKey: "bystander", message: "good day", idempotencyKey: runId });
  expect(await bystander.end(runId)).toMatchObject({ state: "final" });
  expect(bystander.isOpen).toBe(true);
  expect(await deployment.pidOf("gateway-1")).toBe(gatewayPid);
  expect(residentMegabytes(gatewayPid)).toBeLessThan(RSS_MAX_MB);
}

/** Linux tells it in /proc; elsewhere nothing is checked. */
function residentMegabytes(pid: number): number {
  if (process.platform !== "linux") return 0;
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1_024;
}

describe("a running deployment answers with one clear error, and nobody else is disturbed by", () => {
  it.each([
    ["a wrong token", { auth: { token: "wrong" } }, /AUTH_TOKEN_MISMATCH/],
    ["a missing token", { auth: undefined }, /DEVICE_IDENTITY_REQUIRED/],
  ])("%s", async (_, params, code) => {
    const client = await openSocket(url);
    onTestFinished(() => client.terminate());
    const refused = await client.request("connect", connectParamsOf({ params }));
    expect(refused).toMatchObject({ ok: false });
    expect(JSON.stringify(refused.error)).toMatch(code);
    expect((await client.closing()).code).toBe(1008);
    await expectUndisturbed();
  });

  it("an unknown agent", async () => {
    const client = await connect();
    const params = { sessionKey: "agent:nobody:main", message: "hi", idempotencyKey: "agent-nobody" };
    const refused = await client.request("chat.send", params);
    expect(refused).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } });
    expect(refused.error?.message).toContain("nobody");
    await expectUndisturbed();
  });

  it("an unknown model", async () => {
    const client = await connect();
    await client.ok("sessions.create", { key: "agent:main:modelled" });
    const refused = await client.request("sessions.patch", { key: "agent:main:modelled", model: "no/such" });
    expect(refused).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } });
    expect(refused.error?.message).toContain("no/such");
    await expectUndisturbed();
  });

  it("text that is no JSON: one refusal, or a close that says why", async () => {
    for (const text of ["{", "nonsense", "[]", '{"type":"req"}', '{"type":"req","id":"x"}', "null"]) {
      const client = await connect();
      const before = client.frames.length;
      client.raw(text);
      // A request behind it: either it is answered, or the connection has been closed with a reason.
      const after = await Promise.race([client.request("health", {}), client.closing()]).catch(
        () => client.closed,
      );
      const told = client.frames.slice(before).filter(({ type, ok }) => type === "res" && ok === false);
      expect(told.length).toBeLessThanOrEqual(1);
      expect(after).toMatchObject("code" in after ? { code: 1008 } : { ok: true });
    }
    await expectUndisturbed();
  });

  it("a frame above the limit: closed with 1009", async () => {
    const client = await connect();
    client.raw("x".repeat(26 * 1024 * 1024));
    expect((await client.closing()).code).toBe(1009);
    await expectUndisturbed();
  });

  it("a key that named another text or another session", async () => {
    const client = await connect();
    const first = { sessionKey: "keys", message: "one", idempotencyKey: "the-key" };
    await client.ok("chat.send", first);
    await client.end("the-key");
    for (const other of [{ message: "two" }, { sessionKey: "other-keys" }]) {
      const refused = await client.request("chat.send", { ...first, ...other });
      expect(refused).toMatchObject({
        ok: false,
        error: { code: "INVALID_REQUEST", details: { reason: "chat-request-conflict" } },
      });
    }
    expect(client.chats("the-key", "final")).toHaveLength(1);
    await expectUndisturbed();
  });

  it("10,000 requests at once on one socket: each is answered, or refused as retryable", async () => {
    const client = await connect();
    const ids = Array.from({ length: 10_000 }, () => client.send("sessions.list", { limit: 1 }));
    const during = expectUndisturbed();
    await client.response(String(ids.at(-1)), 1, 120_000);
    await during;
    const answers = new Map<string, number>();
    for (const { id, ok, error, type } of client.frames) {
      if (type !== "res" || id === undefined) continue;
      answers.set(id, (answers.get(id) ?? 0) + 1);
      expect(ok === true || error?.retryable === true).toBe(true);
    }
    expect(ids.filter((id) => answers.get(id) !== 1)).toEqual([]);
    await expectUndisturbed();
  });

  it("a message of 2 MB: it is answered, and kept as a whole", async () => {
    const client = await connect();
    const message = `[[demo text=received]] ${"All work and no play. ".repeat(100_000)}`.slice(0, 2_000_000);
    await client.ok("chat.send", { sessionKey: "large", message, idempotencyKey: "large-1" });
    const end = await client.end("large-1", 120_000);
    expect(end).toMatchObject({ state: "final" });
    expect(client.text("large-1")).toContain("received");
    await expectUndisturbed();
    const again = await client.request("chat.send", {
      sessionKey: "large",
      message: `${message}!`,
      idempotencyKey: "large-1",
    });
    expect(again).toMatchObject({ ok: false, error: { details: { reason: "chat-request-conflict" } } });
  });

  it("a client that reads nothing while its session streams", async () => {
    const client = await connect();
    client.pause();
    for (let n = 0; n < 20; n++) {
      client.send("chat.send", {
        sessionKey: `deaf-${n}`,
        message: `[[demo text="${"x".repeat(1_000)}" repeat=200 chunks=50]] say much`,
        idempotencyKey: `deaf-${n}`,
      });
    }
    await expectUndisturbed();
    const listed = await deployment.cli(["runs", "list", "--json"]);
    const runs = listed.json() as { runId: string }[];
    expect(runs.filter(({ runId }) => runId.startsWith("deaf-"))).toHaveLength(20);
    await expectUndisturbed();
  });
});
