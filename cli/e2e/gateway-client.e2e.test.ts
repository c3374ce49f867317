import { randomUUID } from "node:crypto";
import { GatewayClient } from "@openclaw/gateway-client";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { FrameLog } from "../../server/testing/frame-log.ts";
import { until } from "../../server/testing/until.ts";

let deployment: TestDeployment;
let sharedUrl: string;
let token: string;
beforeAll(async () => {
  deployment = await startDeployment();
  const env = await deployment.env();
  sharedUrl = String(env["OPENCLAW_GATEWAY_URL"]);
  token = String(env["OPENCLAW_GATEWAY_TOKEN"]);
  return () => deployment.close();
});

const gatewayUrl = async (id: string): Promise<string> =>
  String((await deployment.status()).instances.find((instance) => instance.id === id)?.url);

/** The published client, unmodified, connected and recording. It reconnects by itself. */
async function connect(url: string) {
  const log = new FrameLog();
  const gaps: unknown[] = [];
  let hellos = 0;
  const client = new GatewayClient({
    url,
    token,
    onEvent: ({ event, payload }) =>
      log.push({ type: "event", event, payload: payload as Record<string, unknown> }),
    onHelloOk: () => void hellos++,
    onGap: (gap) => void gaps.push(gap),
  });
  onTestFinished(() => client.stopAndWait());
  client.start();
  await until(() => hellos > 0, { what: `a connection to ${url}`, timeoutMs: 30_000 });
  return { client, log, gaps, hellos: () => hellos };
}

type Connected = Awaited<ReturnType<typeof connect>>;

const chat = (
  { client }: Connected,
  sessionKey: string,
  message: string,
  idempotencyKey: string = randomUUID(),
): Promise<{ runId: string; status: string }> =>
  client.request("chat.send", { sessionKey, message, idempotencyKey });

describe("the published @openclaw/gateway-client", () => {
  it.each(["gateway-1", "gateway-2"])("chats at %s: answer, history, list of sessions", async (id) => {
    const connected = await connect(await gatewayUrl(id));
    const { client, log, gaps } = connected;
    const session = `at-${id}`;
    const { runId, status } = await chat(connected, session, "[[demo chunks=4 delay=120]] tell me more");
    expect(status).toBe("started");
    const end = await log.end(runId);
    expect(end).toMatchObject({ state: "final", sessionKey: `agent:main:${session}` });
    expect(log.text(runId)).toContain("tell me more");
    expect(end["message"]).toMatchObject({
      role: "assistant",
      content: [{ type: "text", text: log.text(runId) }],
    });
    const history = await client.request<{ messages: { role: string; content: unknown }[] }>("chat.history", {
      sessionKey: session,
    });
    expect(history.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    const { sessions } = await client.request<{ sessions: { key: string }[] }>("sessions.list", {});
    expect(sessions.map(({ key }) => key)).toContain(`agent:main:${session}`);
    expect(gaps).toEqual([]);
  });

  it("hears at one gateway what was sent at the other, subscribed to the session", async () => {
    const [one, two] = await Promise.all([
      connect(await gatewayUrl("gateway-1")),
      connect(await gatewayUrl("gateway-2")),
    ]);
    const key = "agent:main:overheard";
    await two.client.request("sessions.subscribe", {});
    await two.client.request("sessions.messages.subscribe", { key });
    const { runId } = await chat(one, key, "to whom it may concern");
    const [ended, overheard] = await Promise.all([one.log.end(runId), two.log.end(runId)]);
    expect(overheard["message"]).toEqual(ended["message"]);
    expect(two.log.text(runId)).toBe(one.log.text(runId));
    const messages = await until(
      () => {
        const heard = two.log
          .events("session.message")
          .filter(({ payload }) => payload?.["sessionKey"] === key);
        return heard.length >= 2 ? heard : null;
      },
      { what: "both messages of the session" },
    );
    const roles = messages.map(({ payload }) => (payload as { message: { role: string } }).message.role);
    expect(roles).toEqual(["user", "assistant"]);
    // Told with the session's row, which is read first: it may come after everything else (protocol.md 4).
    const changed = await two.log.wait(
      ({ event, payload }) => event === "sessions.changed" && payload?.["sessionKey"] === key,
      "the change of the session",
    );
    expect(changed.payload).toMatchObject({ agentId: "main", session: { key } });
  });

  it("waits for both responses of agent, also for those of a duplicate at the other gateway", async () => {
    const clients = await Promise.all([
      connect(await gatewayUrl("gateway-1")),
      connect(await gatewayUrl("gateway-2")),
    ]);
    const accepted: unknown[] = [];
    const answers = await Promise.all(
      clients.map(({ client }) =>
        client.request(
          "agent",
          { sessionKey: "agents", message: "[[demo latency=500]] answer twice", idempotencyKey: "agent-1" },
          { expectFinal: true, onAccepted: (payload) => void accepted.push(payload) },
        ),
      ),
    );
    expect(accepted).toHaveLength(2);
    for (const answer of answers) {
      expect(answer).toMatchObject({
        runId: "agent-1",
        status: "ok",
        result: { payloads: [{ text: expect.stringContaining("answer twice") as unknown }] },
      });
    }
    const runs = (await deployment.cli(["runs", "list", "--session", "agents", "--json"])).json();
    expect(runs).toHaveLength(1);
  });

  it("aborts at one gateway what the other one started", async () => {
    const [one, two] = await Promise.all([
      connect(await gatewayUrl("gateway-1")),
      connect(await gatewayUrl("gateway-2")),
    ]);
    const { runId } = await chat(one, "stopped", "[[demo chunks=600 delay=100 repeat=100]] on and on");
    await one.log.wait(({ payload }) => payload?.["state"] === "delta", "the first delta");
    const answer = await two.client.request("chat.abort", { sessionKey: "stopped", runId });
    expect(answer).toMatchObject({ ok: true, aborted: true, runIds: [runId] });
    expect(await one.log.end(runId)).toMatchObject({ state: "aborted" });
  });

  it("steers at one gateway, by default, into the turn that was begun at the other", async () => {
    const [one, two] = await Promise.all([
      connect(await gatewayUrl("gateway-1")),
      connect(await gatewayUrl("gateway-2")),
    ]);
    // The model takes its time to call a tool; that there is none of this name is told to it, and it is asked again.
    const turn = await chat(one, "steered", "[[demo latency=1500 tool=look]] what do you see?");
    await one.log.wait(({ payload }) => payload?.["phase"] === "starting_model", "the start of the run");
    const joined = await chat(two, "steered", "[[demo recall]] and what do you hear?");
    const answer = /You said: and what do you hear\?[^]*Before that you said: .*what do you see\?/;
    for (const { log } of [one, two]) {
      expect(await log.end(joined.runId)).not.toHaveProperty("message");
      const end = await log.end(turn.runId);
      expect(end).toMatchObject({
        state: "final",
        message: { content: [{ text: expect.stringMatching(answer) as unknown }] },
      });
    }
    const runs = (await deployment.cli(["runs", "list", "--session", "steered", "--json"])).json();
    expect(runs).toMatchObject([
      { runId: joined.runId, status: "succeeded", mergedInto: turn.runId },
      { runId: turn.runId, status: "succeeded" },
    ]);
  });

  it("whose gateway is killed finds another one by itself, and its answer goes on there", async () => {
    const connected = await connect(sharedUrl);
    const { client, log, hellos } = connected;
    const key = "agent:main:moved";
    await client.request("sessions.messages.subscribe", { key });
    const { runId } = await chat(connected, key, "[[demo chunks=80 delay=100]] count the pieces of this");
    await log.wait(({ payload }) => payload?.["state"] === "delta", "the first delta");
    const { gateway } = await client.request<{ gateway: { instance: string } }>("status", {});
    await deployment.kill(gateway.instance);
    await until(() => hellos() === 2, { what: "another gateway", timeoutMs: 30_000 });
    await client.request("sessions.messages.subscribe", { key });
    const end = await log.end(runId, 60_000);
    expect(end).toMatchObject({ state: "final", runId });
    const whole = (end["message"] as { content: { text: string }[] }).content[0]?.text;
    expect(whole).toContain("count the pieces of this");
    expect(log.text(runId)).toBe(whole);
    // Where it left off is not said: the new gateway tells the run from its start, its text in one replacing delta.
    const seqs = log.chats(runId, "delta").map(({ runSeq }) => Number(runSeq));
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
    expect(log.chats(runId, "final")).toHaveLength(1);
    await deployment.ready();
  });
});
