import type { ConformanceCase, Script, ScriptClient } from "../script.ts";

const KIB = 1_024;

type Sending = readonly [name: string, text: string | Buffer];

const frame = (more: Record<string, unknown>): string =>
  JSON.stringify({ type: "req", id: "f1", method: "health", params: {}, ...more });

const FRAMES: readonly Sending[] = [
  ["no JSON", "{nope"],
  ["an empty text", ""],
  ["a list", "[]"],
  ["null", "null"],
  ["a number", "7"],
  ["a text", '"hello"'],
  ["no type", JSON.stringify({ id: "f1", method: "health" })],
  ["a response", JSON.stringify({ type: "res", id: "f1", ok: true })],
  ["an event", JSON.stringify({ type: "event", event: "tick" })],
  ["a numeric id", frame({ id: 7 })],
  ["an empty id", frame({ id: "" })],
  ["no id", frame({ id: undefined })],
  ["a numeric method", frame({ method: 7 })],
  ["an empty method", frame({ method: "" })],
  ["no method", frame({ method: undefined })],
  ["an unknown top-level field", frame({ colour: "red" })],
  [
    "a traceparent",
    frame({
      method: "sessions.describe",
      params: { key: "none" },
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }),
  ],
  ["a binary frame", Buffer.from(frame({ method: "sessions.describe", params: { key: "none" } }))],
];

const before = (name: string, sent: string | Buffer): ConformanceCase => ({
  name: `before connect: ${name}`,
  methods: [],
  async run(script) {
    await (await script.stranger()).blurt("reaction", sent, 1_500);
  },
});

const after = (
  name: string,
  run: (client: ScriptClient, script: Script) => Promise<unknown>,
): ConformanceCase => ({
  name: `after connect: ${name}`,
  methods: [],
  async run(script) {
    const client = await script.client();
    await run(client, script);
    script.note(
      "still answers",
      (await client.socket.request("health", {}).catch(() => ({ ok: "closed" }))).ok,
    );
  },
});

/** Frames that are none, or of the wrong kind at the wrong time (protocol.md 1). */
export const frameCases: readonly ConformanceCase[] = [
  ...FRAMES.map(([name, sent]) => before(name, sent)),
  before("another method", frame({ method: "sessions.list" })),
  before("a frame of 70 KB", frame({ params: { text: "x".repeat(70 * KIB) } })),
  ...FRAMES.map(([name, sent]) => after(name, (client) => client.blurt("reaction", sent))),
  after("an unknown method", (client) => client.ask("answer", "no.such.method", {})),
  after("an unknown method with params of any kind", (client) => client.ask("answer", "no.such.method", [1])),
  after("a second connect", (client) => client.ask("answer", "connect", {})),
  after("params that are a list", (client) => client.ask("answer", "chat.history", [])),
  after("params that are a text", (client) => client.ask("answer", "chat.history", "main")),
  after("params left out", (client) => client.ask("answer", "chat.history")),
  after("the same id twice", async (client, script) => {
    client.socket.raw(frame({ id: "twice" }));
    client.socket.raw(frame({ id: "twice" }));
    await client.socket.response("twice", 2);
    script.note("answers", client.socket.responses("twice").length);
  }),
  after("200 requests at once", async (client, script) => {
    const ids = Array.from({ length: 200 }, () => client.socket.send("agents.list", {}));
    await Promise.all(ids.map((id) => client.socket.response(id)));
    script.note(
      "each is answered once",
      ids.every((id) => client.socket.responses(id).length === 1),
    );
  }),
  {
    name: "missing scope",
    methods: [],
    async run(script) {
      const reader = await script.client({ scopes: ["operator.read"] });
      const sessionKey = script.named("s");
      await reader.ask("a write", "chat.send", {
        sessionKey,
        message: "hi",
        idempotencyKey: script.named("r"),
      });
      await reader.ask("an administration", "sessions.patch", { key: sessionKey, label: "x" });
      const writer = await script.client({ scopes: ["operator.write"] });
      await writer.ask("an administration by a writer", "sessions.delete", { key: sessionKey });
      const nobody = await script.client({ scopes: [] });
      await nobody.ask("a read by nobody", "sessions.list", {});
      await nobody.ask("an unknown method by nobody", "no.such.method", {});
      await nobody.ask("bad params by nobody", "chat.send", { sessionKey: 7 });
    },
  },
];
