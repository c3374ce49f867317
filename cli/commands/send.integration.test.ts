import { describe, expect, it, onTestFinished } from "vitest";
import { startGateway } from "../../server/gateway/main.ts";
import {
  ACME,
  ACME_TOKEN,
  gatewayPool,
  handWorker,
  OTHER_TOKEN,
  READER_TOKEN,
} from "../../server/testing/gateway-pool.ts";
import { startTcpProxy } from "../../server/testing/tcp-proxy.ts";
import { until } from "../../server/testing/until.ts";
import { type CliWorld, runCli } from "../testing/run-cli.ts";

const SESSION = "agent:main:main";

/** Two real gateways on memory stores, behind one address that leads to the first one until it is switched. */
async function setup() {
  const pool = await gatewayPool();
  const gateways = [
    await startGateway(pool.deps({ instance: "gateway-1" })),
    await startGateway(pool.deps({ instance: "gateway-2" })),
  ];
  onTestFinished(async () => {
    for (const gateway of gateways) await gateway.close();
  });
  const [one, two] = gateways.map(({ url }) => Number(new URL(url).port));
  const front = await startTcpProxy(one ?? 0);
  onTestFinished(() => front.close());
  const world = (token = ACME_TOKEN, more: CliWorld = {}): CliWorld => ({
    ...more,
    env: { OPENCLAW_HA_GATEWAY_URL: `ws://127.0.0.1:${front.port}`, OPENCLAW_HA_GATEWAY_TOKEN: token },
  });
  return { pool, front, world, otherPort: two ?? 0 };
}

describe("openclaw-ha send", () => {
  it("streams the answer to stdout and exits 0", async () => {
    const { pool, world } = await setup();
    const worker = await handWorker(pool);
    let streamed = "";
    const sent = runCli(
      ["send", "hello"],
      world(ACME_TOKEN, { onStdout: (text) => void (streamed += text) }),
    );
    const run = await worker.claim(SESSION);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "Good " });
    await until(() => streamed === "Good ", { what: "the first delta" });
    await run.say({ type: "delta", text: "morning" });
    await run.finish("Good morning");
    expect(await sent).toMatchObject({ exitCode: 0, stdout: "Good morning\n", stderr: "" });
  });

  it("prints one event a line with --json, the result last", async () => {
    const { pool, world } = await setup();
    const worker = await handWorker(pool);
    const sent = runCli(["send", "hello", "--json", "--idempotency-key", "key-1"], world());
    const run = await worker.claim(SESSION);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "Hi" });
    await run.finish("Hi");
    const { exitCode, lines, stderr } = await sent;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const events = lines();
    expect(events[0]).toMatchObject({ type: "accepted", runId: "key-1" });
    expect(events.at(-1)).toMatchObject({
      type: "result",
      runId: "key-1",
      sessionKey: SESSION,
      status: "ok",
      text: "Hi",
    });
  });

  it("goes on at another gateway when its own dies in the middle, without a character lost or doubled", async () => {
    const { pool, front, otherPort, world } = await setup();
    const worker = await handWorker(pool);
    let streamed = "";
    const sent = runCli(
      ["send", "count"],
      world(ACME_TOKEN, { onStdout: (text) => void (streamed += text) }),
    );
    const run = await worker.claim(SESSION);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one " });
    await until(() => streamed === "one ", { what: "the first delta" });
    front.leadTo(otherPort);
    front.cut();
    await run.say({ type: "delta", text: "two " }, { type: "delta", text: "three" });
    await run.finish("one two three");
    const { exitCode, stdout, stderr } = await sent;
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "one two three\n" });
    expect(stderr).toContain("trying again");
    expect(await pool.ledger.port.list(ACME, { limit: 10 })).toHaveLength(1);
  });

  it("answers again for a key that was answered, without another run", async () => {
    const { pool, world } = await setup();
    const worker = await handWorker(pool);
    const argv = ["send", "hello", "--idempotency-key", "key-1"];
    const first = runCli(argv, world());
    const run = await worker.claim(SESSION);
    await run.say({ type: "started", text: "" });
    await run.finish("once");
    expect(await first).toMatchObject({ stdout: "once\n" });
    expect(await runCli(argv, world())).toMatchObject({ exitCode: 0, stdout: "once\n" });
    expect(await pool.ledger.port.list(ACME, { limit: 10 })).toHaveLength(1);
  });

  it("exits 1 for the same key with another message", async () => {
    const { pool, world } = await setup();
    await runCli(["send", "hello", "--idempotency-key", "key-1", "--no-wait"], world());
    const run = await runCli(["send", "other", "--idempotency-key", "key-1", "--json"], world());
    expect(run).toMatchObject({ exitCode: 1, stderr: "" });
    expect(run.json()).toMatchObject({ error: { code: "REQUEST_CONFLICT" } });
    expect(await pool.ledger.port.list(ACME, { limit: 10 })).toHaveLength(1);
  });

  it("does not speak of a run where the gateway refused the message for good", async () => {
    const { pool, world } = await setup();
    const run = await runCli(["send", "hello", "--agent", "nobody"], world());
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('Agent "nobody"');
    expect(run.stderr).not.toContain("accepted");
    expect(await pool.ledger.port.list(ACME, { limit: 10 })).toEqual([]);
  });

  it("prints the run's id and ends with --no-wait", async () => {
    const { pool, world } = await setup();
    const run = await runCli(
      ["send", "hello", "--no-wait", "--session", "notes", "--agent", "work"],
      world(),
    );
    const [accepted] = await pool.ledger.port.list(ACME, { limit: 1 });
    expect(run).toMatchObject({ exitCode: 0, stdout: `${accepted?.runId}\n`, stderr: "" });
    expect(accepted?.sessionKey).toBe("agent:work:notes");
  });

  it("exits 1 when the run fails, with the reason on stderr and what there is on stdout", async () => {
    const { pool, world } = await setup();
    const worker = await handWorker(pool);
    let streamed = "";
    const sent = runCli(
      ["send", "hello"],
      world(ACME_TOKEN, { onStdout: (text) => void (streamed += text) }),
    );
    const run = await worker.claim(SESSION);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "par" });
    await until(() => streamed === "par", { what: "the first delta" });
    await run.end("failed", { text: "par" });
    const { exitCode, stdout, stderr } = await sent;
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "par\n" });
    expect(stderr).toMatch(/ended as error/);
  });

  it("leaves the run alone when it is interrupted, and says how to go on", async () => {
    const { pool, world } = await setup();
    const worker = await handWorker(pool);
    const controller = new AbortController();
    let streamed = "";
    const sent = runCli(
      ["send", "hello", "--idempotency-key", "key-1"],
      world(ACME_TOKEN, { signal: controller.signal, onStdout: (text) => void (streamed += text) }),
    );
    const run = await worker.claim(SESSION);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "begun" });
    await until(() => streamed === "begun", { what: "the first delta" });
    controller.abort(new DOMException("ended by SIGINT", "AbortError"));
    expect(await sent).toMatchObject({
      exitCode: 130,
      stderr: expect.stringContaining("openclaw-ha runs show key-1"),
    });
    expect(await pool.ledger.port.get(ACME, run.grant.runId)).toMatchObject({
      status: "running",
      abortRequested: false,
    });
  });

  it("reads the message from stdin", async () => {
    const { pool, world } = await setup();
    await runCli(["send", "-", "--no-wait"], world(ACME_TOKEN, { stdin: "from a pipe\n" }));
    const grant = (await (await handWorker(pool)).claim(SESSION)).grant;
    expect(grant.input.body).toMatchObject({ inline: { content: "from a pipe" } });
  });

  it("exits 2 for an empty message and 78 for a token that is wrong or may only read", async () => {
    const { world } = await setup();
    expect(await runCli(["send", " "], world())).toMatchObject({ exitCode: 2 });
    expect(await runCli(["send", "hello"], world("no token"))).toMatchObject({ exitCode: 78 });
    expect(await runCli(["send", "hello"], world(READER_TOKEN))).toMatchObject({ exitCode: 78 });
  });

  it("acts as the tenant of its token", async () => {
    const { pool, world } = await setup();
    await runCli(["send", "hello", "--no-wait"], world(OTHER_TOKEN));
    expect(await pool.ledger.port.list(ACME, { limit: 1 })).toEqual([]);
  });
});
