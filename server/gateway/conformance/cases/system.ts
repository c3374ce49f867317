import type { ConformanceCase } from "../script.ts";

type Params = Record<string, unknown>;

const asked = (method: string, params: Params = {}, name = "plain"): ConformanceCase => ({
  name: `${method}: ${name}`,
  methods: [method],
  async run(script) {
    await (await script.client()).ask("answer", method, params);
  },
});

/** What the gateway says of itself and of its configuration. */
export const systemCases: readonly ConformanceCase[] = [
  {
    name: "health: plain",
    methods: ["health"],
    async run(script) {
      const client = await script.client();
      const { payload } = await client.socket.request("health", {});
      const { sessions, agents, ...rest } = payload ?? {};
      script.note("answer", rest);
      const { recent, ...store } = sessions as Params;
      script.note("sessions", { ...store, count: typeof store["count"], recent: Array.isArray(recent) });
      const [agent] = agents as Params[];
      script.note("agent", { ...agent, sessions: typeof agent?.["sessions"] });
    },
  },
  {
    name: "status: plain",
    methods: ["status"],
    async run(script) {
      const client = await script.client();
      await client.do("sessions.create", { key: script.named("s") });
      const { payload } = await client.socket.request("status", {});
      const { sessions, tasks, ...rest } = payload ?? {};
      script.note("answer", rest);
      script.note("tasks", Object.keys(tasks as Params).sort());
      const { recent, count, byAgent, ...store } = sessions as Params;
      script.note("sessions", { ...store, count: typeof count, byAgent: Array.isArray(byAgent) });
      script.note(
        "recent session",
        (recent as Params[]).find(({ key }) => key === script.canonical("s")),
      );
    },
  },
  {
    name: "system-presence: plain",
    methods: ["system-presence"],
    async run(script) {
      const client = await script.client();
      const { payload } = await client.socket.request("system-presence", {});
      const own = (payload as unknown as Params[]).findLast(({ mode }) => mode === "backend");
      script.note("own entry", own);
    },
  },
  asked("agents.list"),
  asked("agent.identity.get"),
  asked("agent.identity.get", { agentId: "main" }, "by id"),
  asked("agent.identity.get", { sessionKey: "agent:main:somewhere" }, "by session"),
  asked("agent.identity.get", { agentId: "nobody" }, "unknown agent"),
  asked("models.list"),
  asked("models.list", { agentId: "main" }, "of an agent"),
  asked("models.list", { agentId: "nobody" }, "of an unknown agent"),
];
