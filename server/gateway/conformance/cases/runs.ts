import type { ConformanceCase, Script, ScriptClient } from "../script.ts";
import { SAY_HELLO } from "./chat.ts";

const one = (
  name: string,
  methods: readonly string[],
  run: (client: ScriptClient, script: Script) => Promise<unknown>,
  caps: readonly string[] = ["tool-events"],
): ConformanceCase => ({
  name,
  methods,
  async run(script) {
    const client = await script.client({ caps });
    await client.do("sessions.subscribe", {});
    await run(client, script);
  },
});

const SLOW = "[[demo text=hello chunks=5 delay=400 usage=10/5/0]] say hello slowly";

const delta = (client: ScriptClient, runId: string) =>
  client.socket.wait(
    ({ event, payload }) => event === "chat" && payload?.["state"] === "delta" && payload["runId"] === runId,
    `a delta of ${runId}`,
  );

/** What a client is told of runs, and in which order (protocol.md 4). */
export const runCases: readonly ConformanceCase[] = [
  one("events: a turn", [], async (client, script) => {
    await client.turn(script.named("s"), SLOW, script.named("r"));
    client.noteEvents("events");
  }),
  one("events: a second turn", [], async (client, script) => {
    await client.turn(script.named("s"), SAY_HELLO, script.named("r1"));
    const before = client.socket.frames.length;
    await client.turn(script.named("s"), SLOW, script.named("r2"));
    client.noteEvents("events", client.socket.frames.slice(before));
  }),
  one("events: an abort", ["chat.abort"], async (client, script) => {
    const sessionKey = script.named("s");
    const runId = script.named("r");
    await client.do("chat.send", { sessionKey, message: SLOW.replace("400", "1500"), idempotencyKey: runId });
    await delta(client, runId);
    await client.ask("chat.abort", "chat.abort", { sessionKey, runId });
    await client.socket.end(runId);
    await client.quiet();
    client.noteEvents("events");
    const { payload } = await client.socket.request("chat.history", { sessionKey });
    script.note("history", payload?.["messages"]);
  }),
  one("events: a model that fails", [], async (client, script) => {
    const sessionKey = script.named("s");
    await client.turn(sessionKey, '[[demo error=400 message="no such thing"]] fail', script.named("r"));
    client.noteEvents("events");
    const { payload } = await client.socket.request("chat.history", { sessionKey });
    script.note("history", payload?.["messages"]);
  }),
  one(
    "events: without a subscription",
    [],
    async (client, script) => {
      const reader = await script.client({ caps: [] });
      await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
      await reader.quiet();
      reader.noteEvents("reader's");
    },
    [],
  ),
  one("events: session-scoped, not subscribed", [], async (client, script) => {
    const scoped = await script.client({ caps: ["session-scoped-events"] });
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    scoped.noteEvents("scoped");
  }),
  one("events: session-scoped, subscribed", [], async (client, script) => {
    const scoped = await script.client({ caps: ["session-scoped-events"] });
    await scoped.do("sessions.messages.subscribe", { key: script.named("s") });
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    await scoped.quiet();
    scoped.noteEvents("scoped");
  }),
];
