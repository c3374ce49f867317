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
  one("events: a call of a tool that is not there", [], async (client, script) => {
    const message = '[[demo tool=no_such_tool{"a":1} usage=10/5/0]] [[demo text=done usage=20/6/0]] call it';
    await client.turn(script.named("s"), message, script.named("r"));
    client.noteEvents("events");
    const { payload } = await client.socket.request("chat.history", { sessionKey: script.named("s") });
    script.note("history", payload?.["messages"]);
  }),
  ...(["steer", "followup", "collect", "interrupt"] as const).map((queueMode) =>
    one(`events: two messages, ${queueMode}`, [], async (client, script) => {
      const sessionKey = script.named("s");
      const [first, second] = [script.named("r1"), script.named("r2")];
      await client.do("chat.send", { sessionKey, message: SLOW, idempotencyKey: first });
      await delta(client, first);
      await client.ask("second ack", "chat.send", {
        sessionKey,
        message: "[[demo text=goodbye usage=20/6/0]] say goodbye",
        idempotencyKey: second,
        queueMode,
      });
      await client.socket.end(first);
      await client.idle(sessionKey);
      script.note("terminal events", {
        first: terminals(client, first),
        second: terminals(client, second),
      });
      const { payload } = await client.socket.request("chat.history", { sessionKey });
      const rows = payload?.["messages"] as Record<string, unknown>[];
      script.note(
        "history",
        rows.map(({ role, content }) => ({ role, text: textOf(content) })),
      );
    }),
  ),
];

/** States of the terminal `chat` events of a run, and whether each had a message. */
const terminals = (client: ScriptClient, runId: string): string[] =>
  client.socket
    .chats(runId)
    .filter(({ state }) => ["final", "aborted", "error"].includes(String(state)))
    .map(({ state, message }) => `${String(state)}${message === undefined ? "" : " with a message"}`);

const textOf = (content: unknown): string =>
  Array.isArray(content)
    ? (content as { text?: string }[]).map(({ text = "" }) => text).join("")
    : String(content);
