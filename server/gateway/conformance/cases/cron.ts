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

/** A job that is never due while a test runs. */
const job = (script: Script, more: Params = {}): Params => ({
  name: script.named("job"),
  schedule: { kind: "cron", expr: "0 0 1 1 *", tz: "UTC" },
  sessionTarget: "isolated",
  wakeMode: "now",
  payload: { kind: "agentTurn", message: "say hello" },
  ...more,
});

/** Jobs at set times: made, listed, changed, removed. That they run in time is tested elsewhere. */
export const cronCases: readonly ConformanceCase[] = [
  one(
    "cron: a job's life",
    ["cron.add", "cron.list", "cron.get", "cron.update", "cron.runs", "cron.remove"],
    async (client, script) => {
      const { payload } = await client.ask("add", "cron.add", job(script));
      const id = payload?.["id"];
      await client.ask("list", "cron.list", { query: script.prefix, includeDisabled: true });
      await client.ask("get", "cron.get", { id });
      await client.ask("update", "cron.update", { id, patch: { enabled: false } });
      await client.ask("runs", "cron.runs", { id });
      await client.ask("remove", "cron.remove", { id });
      await client.ask("remove again", "cron.remove", { id });
      await client.ask("get after it", "cron.get", { id });
    },
  ),
  one("cron.add: bad params", ["cron.add"], async (client, script) => {
    await client.ask("no name", "cron.add", job(script, { name: undefined }));
    await client.ask("no schedule", "cron.add", job(script, { schedule: undefined }));
    await client.ask(
      "a bad expression",
      "cron.add",
      job(script, { schedule: { kind: "cron", expr: "never" } }),
    );
    await client.ask("an unknown kind", "cron.add", job(script, { schedule: { kind: "moon" } }));
    await client.ask("no payload", "cron.add", job(script, { payload: undefined }));
    await client.ask("unknown target", "cron.add", job(script, { sessionTarget: "nowhere" }));
  }),
  one("cron.run: unknown job", ["cron.run"], (client, script) =>
    client.ask("answer", "cron.run", { id: script.named("none") }),
  ),
  one("cron.status: shape", ["cron.status"], async (client, script) => {
    const status = await client.do("cron.status", {});
    script.note(
      "fields",
      Object.fromEntries(Object.entries(status).map(([name, value]) => [name, typeof value])),
    );
  }),
];
