import type { ConformanceCase, Script, ScriptClient } from "../script.ts";

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

/** A message whose answer is the same on every gateway, whatever else its model is sent. */
export const SAY_HELLO = "[[demo text=hello usage=10/5/0]] say hello";

const send = (script: Script, more: Params = {}): Params => ({
  sessionKey: script.named("s"),
  message: SAY_HELLO,
  idempotencyKey: script.named("r"),
  ...more,
});

const refusedSend = (name: string, more: (script: Script) => Params): ConformanceCase =>
  one(`chat.send: ${name}`, ["chat.send"], (client, script) =>
    client.ask("answer", "chat.send", send(script, more(script))),
  );

/** Messages into sessions and back out of them. */
export const chatCases: readonly ConformanceCase[] = [
  refusedSend("empty message", () => ({ message: "" })),
  refusedSend("blank message", () => ({ message: "  \n" })),
  refusedSend("no message", () => ({ message: undefined })),
  refusedSend("numeric message", () => ({ message: 7 })),
  refusedSend("no session key", () => ({ sessionKey: undefined })),
  refusedSend("empty session key", () => ({ sessionKey: "" })),
  refusedSend("no idempotency key", () => ({ idempotencyKey: undefined })),
  refusedSend("empty idempotency key", () => ({ idempotencyKey: "" })),
  refusedSend("unknown agent", (script) => ({ sessionKey: `agent:nobody:${script.named("s")}` })),
  refusedSend("malformed agent key", () => ({ sessionKey: "agent::x" })),
  refusedSend("another agent than the key's", (script) => ({
    sessionKey: `agent:main:${script.named("s")}`,
    agentId: "nobody",
  })),
  refusedSend("unknown queue mode", () => ({ queueMode: "shove" })),
  refusedSend("negative time limit", () => ({ timeoutMs: -1 })),
  refusedSend("time limit as text", () => ({ timeoutMs: "5" })),
  refusedSend("attachments that are none", () => ({ attachments: "none" })),
  refusedSend("unknown property", () => ({ fromTheFuture: true })),
  one("chat.send: answers and duplicates", ["chat.send"], async (client, script) => {
    const first = send(script, { message: "[[demo latency=700 text=hello usage=10/5/0]] say hello slowly" });
    await client.ask("first", "chat.send", first);
    await client.ask("again while it runs", "chat.send", first);
    await client.socket.end(script.named("r"));
    await client.quiet();
    await client.ask("again after it", "chat.send", first);
    await client.ask("same key, another text", "chat.send", { ...first, message: "else" });
  }),
  one("chat.send: same key, another session", ["chat.send"], async (client, script) => {
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    await client.ask("answer", "chat.send", send(script, { sessionKey: script.named("t") }));
  }),
  one("chat.send: slash commands", ["chat.send"], async (client, script) => {
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    const anew = send(script, { message: "/new", idempotencyKey: script.named("n") });
    await client.ask("new", "chat.send", anew);
    await client.socket.end(script.named("n"));
    await client.quiet();
    await client.ask("again", "chat.send", anew);
    await client.ask("same key, another command", "chat.send", { ...anew, message: "/reset" });
    await client.ask("what it left", "chat.history", { sessionKey: script.named("s") });
    const stop = send(script, { message: "/stop", idempotencyKey: script.named("h") });
    await client.ask("nothing to stop", "chat.send", stop);
  }),
  one("chat.history: nothing yet", ["chat.history"], (client, script) =>
    client.ask("answer", "chat.history", { sessionKey: script.named("s") }),
  ),
  one("chat.history: bad params", ["chat.history"], async (client, script) => {
    const sessionKey = script.named("s");
    await client.ask("no key", "chat.history", {});
    await client.ask("limit 0", "chat.history", { sessionKey, limit: 0 });
    await client.ask("limit as text", "chat.history", { sessionKey, limit: "5" });
    await client.ask("limit 5000", "chat.history", { sessionKey, limit: 5_000 });
    await client.ask("negative offset", "chat.history", { sessionKey, offset: -1 });
    await client.ask("unknown property", "chat.history", { sessionKey, fromTheFuture: true });
    await client.ask("unknown agent", "chat.history", { sessionKey: "agent:nobody:x" });
    await client.ask("a cursor that is none", "chat.history", { sessionKey, cursor: "nonsense" });
  }),
  one("chat.history: after a turn", ["chat.history"], async (client, script) => {
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    await client.ask("answer", "chat.history", { sessionKey: script.named("s") });
  }),
  one("chat.history: pages", ["chat.history"], async (client, script) => {
    const sessionKey = script.named("s");
    for (let n = 1; n <= 3; n++) await client.turn(sessionKey, SAY_HELLO, script.named(`r${n}`));
    for (const [label, params] of [
      ["newest two", { limit: 2 }],
      ["next two", { limit: 2, offset: 2 }],
      ["beyond the end", { limit: 2, offset: 50 }],
    ] as const) {
      const { payload } = await client.socket.request("chat.history", { sessionKey, ...params });
      const { messages, hasMore, nextOffset, totalMessages } = payload as Params;
      const seqs = (messages as { __openclaw: { seq: number } }[]).map(
        ({ __openclaw }) => `row ${__openclaw.seq}`,
      );
      script.note(label, {
        seqs,
        hasMore,
        totalMessages,
        ...(nextOffset === undefined ? {} : { nextOffset }),
      });
    }
  }),
  one("chat.history: while a run is under way", ["chat.history"], async (client, script) => {
    const sessionKey = script.named("s");
    const params = send(script, { message: "[[demo text=hello chunks=5 delay=500 usage=10/5/0]] slowly" });
    await client.do("chat.send", params);
    await client.socket.wait(
      ({ event, payload }) =>
        event === "chat" && payload?.["state"] === "delta" && payload["runId"] === script.named("r"),
      "a delta",
    );
    await client.ask("answer", "chat.history", { sessionKey });
    await client.socket.end(script.named("r"));
  }),
  one("chat.abort: nothing to abort", ["chat.abort"], async (client, script) => {
    const sessionKey = script.named("s");
    await client.ask("unknown session", "chat.abort", { sessionKey });
    await client.ask("unknown run", "chat.abort", { sessionKey, runId: script.named("none") });
    await client.turn(sessionKey, SAY_HELLO, script.named("r"));
    await client.ask("ended run", "chat.abort", { sessionKey, runId: script.named("r") });
    await client.ask("run of another session", "chat.abort", {
      sessionKey: script.named("t"),
      runId: script.named("r"),
    });
    await client.ask("no key", "chat.abort", {});
    await client.ask("empty run id", "chat.abort", { sessionKey, runId: "" });
  }),
  one("chat.inject: into a session", ["chat.inject"], async (client, script) => {
    const sessionKey = script.named("s");
    await client.do("sessions.messages.subscribe", { key: sessionKey });
    await client.turn(sessionKey, SAY_HELLO, script.named("r"));
    const before = client.socket.frames.length;
    await client.ask("answer", "chat.inject", { sessionKey, message: "a note" });
    await client.quiet();
    client.noteEvents("events", client.socket.frames.slice(before));
    await client.ask("with a label", "chat.inject", { sessionKey, message: "a note", label: "from me" });
    const { payload } = await client.socket.request("chat.history", { sessionKey, limit: 2 });
    script.note("rows", payload?.["messages"]);
    await client.ask("unknown session", "chat.inject", {
      sessionKey: script.named("none"),
      message: "a note",
    });
    await client.ask("no message", "chat.inject", { sessionKey, message: "" });
  }),
];
