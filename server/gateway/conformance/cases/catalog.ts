import type { ConformanceCase, Script, ScriptClient } from "../script.ts";
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
    await run(await script.client({ scopes: ALL_SCOPES }), script);
  },
});

const ALL_SCOPES = [
  "operator.admin",
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.questions",
];

/** Methods that answer what a pool has none of, and that a fresh genuine gateway has none of either. */
const EMPTY: readonly (readonly [method: string, params?: Params])[] = [
  ["node.list"],
  ["question.list"],
  ["exec.approval.list"],
  ["plugin.approval.list"],
  ["openclaw.approval.list"],
  ["update.status"],
];

/** What a user interface reads before it shows a chat, and lists that are empty. */
export const catalogCases: readonly ConformanceCase[] = [
  one("chat.startup: after a turn", ["chat.startup"], async (client, script) => {
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    const { payload } = await client.socket.request("chat.startup", {
      sessionKey: script.named("s"),
      limit: 10,
    });
    const { metadata = {}, agentsList, messages, sessionInfo, ...rest } = payload ?? {};
    script.note("answer", rest);
    script.note("rows", (messages as unknown[]).length);
    const { agents = [] } = (agentsList ?? {}) as { agents?: Params[] };
    script.note(
      "agents",
      agents.map(({ id }) => id),
    );
    script.note("session", typeof sessionInfo);
    const { models = [], commands, ...more } = metadata as Params;
    script.note("metadata", more);
    script.note(
      "models",
      (models as Params[]).map(({ id, provider }) => `${String(provider)}/${String(id)}`),
    );
    script.note("commands", Array.isArray(commands));
  }),
  one("chat.metadata: plain", ["chat.metadata"], async (client, script) => {
    const sessionKey = script.canonical("s");
    const { payload } = await client.socket.request("chat.metadata", { agentId: "main", sessionKey });
    const { models, commands, ...more } = payload ?? {};
    script.note("answer", more);
    script.note("model", (models as Params[])[0]);
    script.note("commands", Array.isArray(commands));
  }),
  one("chat.message.get: rows", ["chat.message.get"], async (client, script) => {
    const sessionKey = script.named("s");
    await client.turn(sessionKey, SAY_HELLO, script.named("r"));
    const { messages } = await client.do("chat.history", { sessionKey });
    const { __openclaw: last } = (messages as { __openclaw: Params }[]).at(-1)!;
    await client.ask("one", "chat.message.get", { sessionKey, messageId: last["id"] });
    await client.ask("unknown row", "chat.message.get", { sessionKey, messageId: "none" });
    await client.ask("unknown session", "chat.message.get", {
      sessionKey: script.named("none"),
      messageId: "none",
    });
    await client.ask("no row", "chat.message.get", { sessionKey });
  }),
  one("commands.list: plain", ["commands.list"], async (client, script) => {
    const { commands } = await client.do("commands.list", {
      agentId: "main",
      scope: "text",
      includeArgs: false,
    });
    const named = (name: string) => (commands as Params[]).find((command) => command["name"] === name);
    for (const name of ["status", "reset", "model", "compact"]) script.note(name, named(name));
    await client.ask("unknown agent", "commands.list", { agentId: "nobody" });
    await client.ask("unknown scope", "commands.list", { scope: "sung" });
  }),
  one("config.get: shape", ["config.get"], async (client, script) => {
    const { payload } = await client.socket.request("config.get", {});
    const types = Object.entries(payload ?? {}).map(([name, value]) => [
      name,
      Array.isArray(value) ? "list" : typeof value,
    ]);
    script.note("fields", Object.fromEntries(types));
    const text = JSON.stringify(payload);
    script.note("tells its token", text.includes(script.target.token));
  }),
  one("models.authStatus: plain", ["models.authStatus"], (client) =>
    client.ask("answer", "models.authStatus", {}),
  ),
  one("tasks.list: of a session without any", ["tasks.list"], (client, script) =>
    client.ask("answer", "tasks.list", { sessionKey: script.named("s") }),
  ),
  one("sessions.compact: nothing to compact", ["sessions.compact"], async (client, script) => {
    await client.ask("unknown session", "sessions.compact", { key: script.named("none") });
    await client.turn(script.named("s"), SAY_HELLO, script.named("r"));
    await client.ask("a short one", "sessions.compact", { key: script.named("s") });
    await client.ask("no key", "sessions.compact", {});
  }),
  ...EMPTY.map(([method, params = {}]) =>
    one(`${method}: plain`, [method], (client) => client.ask("answer", method, params)),
  ),
];
