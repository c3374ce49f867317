import type { ConformanceCase, Script, ScriptClient } from "../script.ts";
import { SAY_HELLO } from "./chat.ts";

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

/** Sessions: listed, looked at, subscribed, changed. Every list is narrowed to the case's own sessions. */
export const sessionCases: readonly ConformanceCase[] = [
  one("sessions.list: rows", ["sessions.list"], async (client, script) => {
    // In this order: the genuine gateway touches a session once more some time after its turn.
    await client.do("sessions.create", { key: script.named("b"), label: `${script.prefix} label` });
    await client.turn(script.named("a"), SAY_HELLO, script.named("r"));
    const search = script.prefix;
    await client.ask("plain", "sessions.list", { search });
    await client.ask("everything", "sessions.list", {
      search,
      includeDerivedTitles: true,
      includeLastMessage: true,
    });
    await client.ask("first of two", "sessions.list", { search, limit: 1 });
    await client.ask("second of two", "sessions.list", { search, limit: 1, offset: 1 });
    await client.ask("nothing found", "sessions.list", { search: `${script.prefix}-none` });
  }),
  one("sessions.list: filters", ["sessions.list"], async (client, script) => {
    const search = script.prefix;
    await client.do("sessions.create", { key: script.named("l"), label: `${script.prefix} Label` });
    await client.do("sessions.create", { key: script.named("p") });
    await client.do("sessions.patch", { key: script.named("p"), pinned: true });
    await client.turn(script.named("t"), SAY_HELLO, script.named("r"));
    const keys = async (label: string, params: object): Promise<void> => {
      const { ok, payload, error } = await client.socket.request("sessions.list", params);
      const rows = (payload?.["sessions"] ?? []) as { key: string }[];
      script.note(label, { ok, keys: rows.map(({ key }) => key).toSorted(), error });
    };
    await keys("all", { search });
    await keys("by label", { label: `${script.prefix} Label` });
    await keys("by a part of a label", { label: `${script.prefix} Lab` });
    await keys("pinned", { search, pinned: true });
    await keys("not pinned", { search, pinned: false });
    await keys("in no group", { search, group: "" });
    await keys("in a group", { search, group: "none" });
    await keys("of a project", { search, projectId: "none" });
    await keys("with a board", { search, hasBoard: true });
    await keys("of a creator", { search, creatorId: "none" });
    await keys("of an owner", { search, ownerId: "none" });
    await keys("chats alone", { search, excludeSubagents: true, excludeCron: true, excludeSystem: true });
    await keys("configured agents", { search, configuredAgentsOnly: true });
    await keys("spawned", { search, spawnedBy: script.canonical("t") });
    await keys("active", { search, activeOnly: true });
    await keys("by activity", { search, sortBy: "activity", activeMinutes: 5 });
    await keys("in an unknown order", { search, sortBy: "size" });
    await keys("search with spaces", { search: `  ${script.prefix}-T ` });
    await keys("empty label", { label: "" });
  }),
  one("sessions.list: bad params", ["sessions.list"], async (client) => {
    await client.ask("limit 0", "sessions.list", { limit: 0 });
    await client.ask("limit as text", "sessions.list", { limit: "5" });
    await client.ask("negative offset", "sessions.list", { offset: -1 });
    await client.ask("unknown agent", "sessions.list", { agentId: "nobody" });
    await client.ask("unknown property", "sessions.list", { fromTheFuture: true });
  }),
  one("sessions.subscribe: with and without a list", ["sessions.subscribe"], async (client, script) => {
    await client.ask("plain", "sessions.subscribe", {});
    await client.ask("with a list", "sessions.subscribe", { limit: 1, search: `${script.prefix}-none` });
  }),
  one(
    "sessions.messages.subscribe: and unsubscribe",
    ["sessions.messages.subscribe", "sessions.messages.unsubscribe"],
    async (client, script) => {
      const key = script.named("s");
      await client.ask("subscribed", "sessions.messages.subscribe", { key });
      await client.ask("subscribed again", "sessions.messages.subscribe", { key });
      await client.ask("unsubscribed", "sessions.messages.unsubscribe", { key });
      await client.ask("unsubscribed again", "sessions.messages.unsubscribe", { key });
      await client.ask("no key", "sessions.messages.subscribe", {});
      await client.ask("empty key", "sessions.messages.subscribe", { key: "" });
      await client.ask("unknown agent", "sessions.messages.subscribe", { key: "agent:nobody:x" });
    },
  ),
  one("sessions.describe: rows", ["sessions.describe"], async (client, script) => {
    const key = script.named("s");
    await client.ask("unknown", "sessions.describe", { key });
    await client.turn(key, SAY_HELLO, script.named("r"));
    await client.ask("after a turn", "sessions.describe", { key });
    await client.ask("no key", "sessions.describe", {});
    await client.ask("unknown agent", "sessions.describe", { key: "agent:nobody:x" });
  }),
  one("sessions.get: rows", ["sessions.get"], async (client, script) => {
    const key = script.named("s");
    await client.ask("unknown", "sessions.get", { key });
    await client.turn(key, SAY_HELLO, script.named("r"));
    await client.ask("after a turn", "sessions.get", { key });
  }),
  one("sessions.resolve: keys", ["sessions.resolve"], async (client, script) => {
    await client.do("sessions.create", { key: script.named("s") });
    await client.ask("short key", "sessions.resolve", { key: script.named("s") });
    await client.ask("full key", "sessions.resolve", { key: script.canonical("s") });
    await client.ask("upper case", "sessions.resolve", { key: script.canonical("s").toUpperCase() });
    await client.ask("unknown", "sessions.resolve", { key: script.named("none") });
    await client.ask("nothing", "sessions.resolve", {});
    await client.ask("missing", "sessions.resolve", { key: script.named("none"), allowMissing: true });
    await client.ask("two at once", "sessions.resolve", { key: script.named("s"), label: "x" });
    const label = script.named("label");
    const { sessionId } = await client.do("sessions.create", { key: script.named("l"), label });
    await client.ask("by label", "sessions.resolve", { label });
    await client.ask("by label and agent", "sessions.resolve", { label: ` ${label} `, agentId: "main" });
    await client.ask("by a label that none has", "sessions.resolve", { label: script.named("none") });
    await client.ask("by id", "sessions.resolve", { sessionId });
    await client.ask("by an id that none has", "sessions.resolve", { sessionId: script.named("none") });
    const spawnedBy = script.canonical("s");
    await client.ask("by id, spawned", "sessions.resolve", { sessionId, spawnedBy });
    await client.ask("by key, spawned", "sessions.resolve", {
      key: script.named("l"),
      spawnedBy,
      allowMissing: true,
    });
    await client.do("sessions.patch", {
      key: script.named("l"),
      archived: true,
      expectedSessionId: sessionId,
    });
    await client.ask("by id, archived", "sessions.resolve", { sessionId });
    await client.ask("by key, archived", "sessions.resolve", { key: script.named("l") });
  }),
  one("sessions.preview: items", ["sessions.preview"], async (client, script) => {
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    await client.do("sessions.create", { key: script.named("empty") });
    const keys = [script.canonical("s"), script.canonical("empty"), script.canonical("none")];
    await client.ask("three", "sessions.preview", { keys });
    await client.ask("short", "sessions.preview", { keys: keys.slice(0, 1), limit: 1, maxChars: 20 });
    await client.ask("no keys", "sessions.preview", {});
    await client.ask("an empty list", "sessions.preview", { keys: [] });
  }),
  one("sessions.create: new and existing", ["sessions.create"], async (client, script) => {
    const key = script.named("s");
    await client.ask("new", "sessions.create", { key });
    await client.ask("existing", "sessions.create", { key });
    await client.ask("labelled", "sessions.create", { key: script.named("l"), label: script.named("label") });
    await client.ask("without a key", "sessions.create", {});
    await client.ask("unknown agent", "sessions.create", { key: "agent:nobody:x" });
    await client.ask("unknown model", "sessions.create", { key: script.named("m"), model: "demo/none" });
    await client.ask("a label that is taken", "sessions.create", {
      key: script.named("l2"),
      label: script.named("label"),
    });
  }),
  one("sessions.create: with a first message", ["sessions.create"], async (client, script) => {
    const { payload } = await client.ask("answer", "sessions.create", {
      key: script.named("s"),
      message: SAY_HELLO,
    });
    const runId = payload?.["runId"];
    if (typeof runId === "string") await client.socket.end(runId);
  }),
  one("sessions.patch: fields", ["sessions.patch"], async (client, script) => {
    const key = script.named("s");
    await client.do("sessions.create", { key });
    await client.ask("label", "sessions.patch", { key, label: script.named("label") });
    await client.ask("label away", "sessions.patch", { key, label: null });
    await client.ask("thinking level", "sessions.patch", { key, thinkingLevel: "off" });
    await client.ask("unknown thinking level", "sessions.patch", { key, thinkingLevel: "very" });
    await client.ask("thinking level in other words", "sessions.patch", { key, thinkingLevel: "None" });
    await client.ask("thinking level of other models", "sessions.patch", { key, thinkingLevel: "high" });
    await client.ask("model", "sessions.patch", { key, model: "demo/demo" });
    await client.ask("unknown model", "sessions.patch", { key, model: "demo/none" });
    await client.ask("unknown provider", "sessions.patch", { key, model: "none/none" });
    await client.ask("archived", "sessions.patch", { key, archived: true });
    await client.ask("not archived", "sessions.patch", { key, archived: false });
    const { session } = await client.do("sessions.describe", { key });
    const expectedSessionId = (session as { sessionId: string }).sessionId;
    const archived = { key, archived: true, expectedSessionId };
    await client.ask("archived and pinned", "sessions.patch", { ...archived, pinned: true });
    await client.ask("archived by id", "sessions.patch", archived);
    await client.ask("pinned while archived", "sessions.patch", { key, pinned: true });
    await client.ask("restored by id", "sessions.patch", { ...archived, archived: false });
    await client.ask("archived and not there", "sessions.patch", {
      ...archived,
      key: script.named("none"),
    });
    await client.ask("another session", "sessions.patch", { key, label: "x", expectedSessionId: "other" });
    await client.ask("another history", "sessions.patch", {
      key,
      label: "x",
      expectedLifecycleRevision: "other",
    });
    await client.do("sessions.create", { key: script.named("l"), label: script.named("taken") });
    await client.ask("label of another", "sessions.patch", { key, label: ` ${script.named("taken")} ` });
    await client.ask("blank label", "sessions.patch", { key, label: "  " });
    await client.ask("pinned", "sessions.patch", { key, pinned: true });
    await client.ask("nothing", "sessions.patch", { key });
    await client.ask("session that is not there", "sessions.patch", {
      key: script.named("none"),
      label: script.named("other"),
    });
    await client.ask("empty label", "sessions.patch", { key, label: "" });
    await client.ask("unknown property", "sessions.patch", { key, fromTheFuture: true });
    await client.ask("no key", "sessions.patch", { label: "x" });
  }),
  one("sessions.reset: after a turn", ["sessions.reset"], async (client, script) => {
    const key = script.named("s");
    await client.do("sessions.subscribe", {});
    await client.turn(key, SAY_HELLO, script.named("r"));
    const before = client.socket.frames.length;
    await client.ask("answer", "sessions.reset", { key, reason: "reset" });
    await client.quiet();
    client.noteEvents("events", client.socket.frames.slice(before));
    const { payload } = await client.socket.request("chat.history", { sessionKey: key });
    script.note("history", payload?.["messages"]);
    await client.ask("as new", "sessions.reset", { key, reason: "new" });
    await client.ask("a reason that is none", "sessions.reset", { key, reason: "bored" });
    await client.ask("session that is not there", "sessions.reset", { key: script.named("none") });
    await client.ask("no key", "sessions.reset", {});
  }),
  one("sessions.delete: and again", ["sessions.delete"], async (client, script) => {
    const key = script.named("s");
    await client.turn(key, SAY_HELLO, script.named("r"));
    await client.ask("first", "sessions.delete", { key });
    await client.ask("again", "sessions.delete", { key });
    await client.ask("main", "sessions.delete", { key: "main" });
    await client.ask("no key", "sessions.delete", {});
  }),
  one("sessions.send: as chat.send", ["sessions.send"], async (client, script) => {
    const key = script.named("s");
    await client.ask("unknown session", "sessions.send", {
      key: script.named("none"),
      message: SAY_HELLO,
      idempotencyKey: script.named("n"),
    });
    await client.do("sessions.create", { key });
    await client.ask("answer", "sessions.send", {
      key,
      message: SAY_HELLO,
      idempotencyKey: script.named("r"),
    });
    await client.socket.end(script.named("r"));
    await client.ask("empty message", "sessions.send", { key, message: "" });
    await client.ask("no key", "sessions.send", { message: SAY_HELLO });
  }),
  one("sessions.abort: runs", ["sessions.abort"], async (client, script) => {
    const key = script.named("s");
    await client.ask("unknown session", "sessions.abort", { key });
    await client.ask("nothing named", "sessions.abort", {});
    await client.do("chat.send", {
      sessionKey: key,
      message: "[[demo text=hello chunks=5 delay=1000 usage=10/5/0]] slowly",
      idempotencyKey: script.named("r"),
    });
    await client.socket.wait(
      ({ event, payload }) =>
        event === "chat" && payload?.["state"] === "delta" && payload["runId"] === script.named("r"),
      "a delta",
    );
    await client.ask("running", "sessions.abort", { key });
    await client.socket.end(script.named("r"));
    await client.quiet();
    await client.ask("again", "sessions.abort", { key });
    await client.ask("unknown run", "sessions.abort", { runId: script.named("none") });
  }),
];
