import type { ConformanceCase, Script, ScriptClient } from "../script.ts";
import { answerOf } from "../script.ts";
import { SAY_HELLO } from "./chat.ts";

type Params = Record<string, unknown>;

const one = (
  name: string,
  methods: readonly string[],
  run: (client: ScriptClient, script: Script) => Promise<unknown>,
): ConformanceCase => ({
  name,
  methods,
  async run(script) {
    await run(await script.client(), script);
  },
});

const params = (script: Script, more: Params = {}): Params => ({
  message: SAY_HELLO,
  sessionKey: script.canonical("s"),
  idempotencyKey: script.named("r"),
  ...more,
});

/** Asks once and notes both responses. */
async function both(client: ScriptClient, script: Script, label: string, asked: Params): Promise<void> {
  const id = client.socket.send("agent", asked);
  const first = await client.socket.response(id);
  script.note(`${label} first`, answerOf(first));
  if (first.payload?.["status"] !== "accepted") return;
  script.note(`${label} second`, answerOf(await client.socket.response(id, 2)));
}

/** The request with two responses, and waiting for a run. */
export const agentCases: readonly ConformanceCase[] = [
  one("agent: two responses", ["agent"], async (client, script) => {
    await both(client, script, "new", params(script));
    await client.quiet();
    await both(client, script, "again after it", params(script));
  }),
  one("agent: a model that fails", ["agent"], (client, script) =>
    both(
      client,
      script,
      "new",
      params(script, { message: '[[demo error=400 message="no such thing"]] fail' }),
    ),
  ),
  one("agent: where it runs", ["agent"], async (client, script) => {
    const key = script.named("s");
    const { sessionId } = await client.do("sessions.create", { key });
    /** The first answer alone, of a run that fails at once: what the case is about is the session it is in. */
    const first = (label: string, more: Params): Promise<unknown> =>
      client.ask(label, "agent", {
        message: '[[demo error=400 message="no such thing"]] fail',
        idempotencyKey: script.named(label.replaceAll(" ", "-")),
        ...more,
      });
    await first("to somebody", { to: "+15550001" });
    await first("to somebody, of an agent", { to: "+15550001", agentId: "main" });
    await first("to somebody, in a session", { to: "+15550001", sessionKey: key });
    await first("to nobody", { to: "" });
    await first("by id", { sessionId });
    await first("by id, to somebody", { sessionId, to: "+15550001" });
    await first("by an id that none has", { sessionId: script.named("id") });
    await first("by id, in another session", { sessionId, sessionKey: script.named("t") });
  }),
  one("agent: how it runs", ["agent"], async (client, script) => {
    /** The second answer without its report. */
    const run = async (name: string, more: Params): Promise<void> => {
      const id = client.socket.send("agent", params(script, { idempotencyKey: script.named(name), ...more }));
      await client.socket.response(id);
      const { ok, payload } = await client.socket.response(id, 2);
      const { status, result } = payload as { status: string; result?: { payloads: unknown; meta: unknown } };
      const { agentMeta, aborted } = (result?.meta ?? {}) as { agentMeta?: Params; aborted?: boolean };
      const { provider, model } = agentMeta ?? {};
      script.note(name, { ok, status, provider, model, aborted, payloads: result?.payloads });
    };
    await run("modelled", { model: "demo/demo", thinking: "off", timeout: 20 });
    await run("timed", { message: "[[demo text=hello chunks=5 delay=8000]] slowly", timeout: 1 });
    await client.ask("negative time", "agent", params(script, { timeout: -1 }));
  }),
  one("agent: bad params", ["agent"], async (client, script) => {
    await client.ask("no message", "agent", params(script, { message: undefined }));
    await client.ask("empty message", "agent", params(script, { message: "" }));
    await client.ask("no idempotency key", "agent", params(script, { idempotencyKey: undefined }));
    await client.ask("unknown agent", "agent", params(script, { sessionKey: undefined, agentId: "nobody" }));
    await client.ask("agent of another session", "agent", params(script, { agentId: "nobody" }));
    await client.ask("timeout as text", "agent", params(script, { timeout: "5" }));
    await client.ask("unknown model", "agent", params(script, { model: "demo/none" }));
    await client.ask("unknown property", "agent", params(script, { fromTheFuture: true }));
    await client.ask("no session, no agent", "agent", params(script, { sessionKey: undefined, message: "" }));
  }),
  one("agent.wait: ended run", ["agent.wait"], async (client, script) => {
    const waiting = client.socket.send("agent.wait", { runId: script.named("r"), timeoutMs: 20_000 });
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    script.note("while it ran", answerOf(await client.socket.response(waiting)));
    await client.ask("after it", "agent.wait", { runId: script.named("r"), timeoutMs: 1_000 });
  }),
  one("agent.wait: unknown run", ["agent.wait"], async (client, script) => {
    await client.ask("unknown", "agent.wait", { runId: script.named("none"), timeoutMs: 200 });
    await client.ask("no run", "agent.wait", {});
    await client.ask("negative time", "agent.wait", { runId: script.named("none"), timeoutMs: -1 });
  }),
];
