import { describe, expect, it } from "vitest";
import { sessionKey } from "../core/ids.ts";
import { ACME, gatewayPool, handWorker, READER_TOKEN } from "../testing/gateway-pool.ts";
import { until } from "../testing/until.ts";
import { connectWire } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const HOUR = 3_600_000;
const JOB = {
  name: "hourly",
  schedule: { kind: "every", everyMs: HOUR },
  sessionTarget: "isolated",
  wakeMode: "next-heartbeat",
  payload: { kind: "agentTurn", message: "look around" },
};

const setup = async () => {
  const pool = await gatewayPool();
  const { gateway } = assembleGateway(pool.deps());
  const client = await connectWire(gateway);
  const add = async (over: object = {}): Promise<Record<string, unknown> & { readonly id: string }> =>
    (await client.ok("cron.add", { ...JOB, ...over })) as Record<string, unknown> & { readonly id: string };
  const refused = async (name: string, params: object): Promise<string> =>
    String((await client.request(name, { ...params })).error?.message);
  return { pool, gateway, client, add, refused };
};

describe("cron jobs through the gateway", () => {
  it("are added with their defaults, listed, and counted", async () => {
    const { client, add } = await setup();
    const job = await add();
    expect(job).toMatchObject({
      name: "hourly",
      enabled: true,
      schedule: { kind: "every", everyMs: HOUR, anchorMs: expect.any(Number) as number },
      sessionTarget: "isolated",
      payload: { kind: "agentTurn", message: "look around" },
      delivery: { mode: "announce" },
      configRevision: expect.stringMatching(/^sha256:/) as string,
      deliveryPreview: { detail: expect.stringContaining("no channels") as string },
    });
    const next = (job["state"] as { nextRunAtMs: number }).nextRunAtMs;
    expect(next - Date.now()).toBeGreaterThan(HOUR - 60_000);
    expect(await client.ok("cron.get", { id: job.id })).toMatchObject({ id: job.id, nextRunAtMs: next });
    expect(await client.ok("cron.status", {})).toMatchObject({ enabled: true, jobs: 1, nextWakeAtMs: next });
    expect(await client.ok("cron.list", {})).toMatchObject({
      jobs: [{ id: job.id, effectiveAgentId: "main" }],
      total: 1,
      hasMore: false,
      nextOffset: null,
      deliveryPreviews: { [job.id]: { label: "announce -> last" } },
    });
  });

  it("are listed by page, with one revision for all pages, filtered and sorted as asked", async () => {
    const { client, add } = await setup();
    for (const name of ["c", "a", "b"]) await add({ name });
    await add({ name: "off", enabled: false });
    await add({ name: "theirs", agentId: "work" });
    const names = async (params: object): Promise<unknown[]> =>
      ((await client.ok("cron.list", { ...params })) as { jobs: { name: string }[] }).jobs.map(
        ({ name }) => name,
      );
    expect(await names({ sortBy: "name", limit: 2 })).toEqual(["a", "b"]);
    expect(await names({ sortBy: "name", limit: 2, offset: 2 })).toEqual(["c", "theirs"]);
    expect(await names({ enabled: "disabled" })).toEqual(["off"]);
    expect(await names({ agentId: "work" })).toEqual(["theirs"]);
    expect(await names({ query: "THEI", compact: true })).toEqual(["theirs"]);
    expect(await names({ includeDisabled: true })).toHaveLength(5);
    const [one, two] = [
      await client.ok("cron.list", { limit: 2 }),
      await client.ok("cron.list", { limit: 2, offset: 2 }),
    ];
    expect(one["snapshotRevision"]).toBe(two["snapshotRevision"]);
    await add({ name: "new" });
    expect((await client.ok("cron.list", {}))["snapshotRevision"]).not.toBe(one["snapshotRevision"]);
  });

  it("are changed field by field, by those who have seen what they change", async () => {
    const { client, add, refused } = await setup();
    const job = await add({ displayName: "Every hour", agentId: "work" });
    const update = (patch: object, over: object = {}) =>
      client.ok("cron.update", { id: job.id, patch, ...over });
    expect(await update({ payload: { kind: "agentTurn", message: "again" } })).toMatchObject({
      displayName: "Every hour",
      agentId: "work",
      payload: { message: "again" },
      nextRunAtMs: (job["state"] as { nextRunAtMs: number }).nextRunAtMs,
    });
    const cleared = await update({ displayName: null, agentId: null });
    expect(cleared).not.toHaveProperty("displayName");
    expect(cleared).not.toHaveProperty("agentId");
    const off = await update({ enabled: false });
    expect(off).toMatchObject({ enabled: false });
    expect(off).not.toHaveProperty("nextRunAtMs");
    const cron = { kind: "cron", expr: "0 9 * * *", tz: "Europe/Zurich" };
    expect(await update({ enabled: true, schedule: cron })).toMatchObject({
      schedule: cron,
      nextRunAtMs: expect.any(Number) as number,
    });
    const toMain = { sessionTarget: "main", payload: { kind: "systemEvent", text: "wake up" } };
    expect(await update(toMain)).toMatchObject(toMain);
    const stale = { id: job.id, patch: { name: "x" }, expectedConfigRevision: job["configRevision"] };
    expect(await refused("cron.update", stale)).toContain("no longer matches");
    const now = (await client.ok("cron.get", { id: job.id }))["configRevision"];
    expect(await update({ name: "x" }, { expectedConfigRevision: now })).toMatchObject({ name: "x" });
  });

  it.each<[string, object, RegExp]>([
    ["no name", { name: " " }, /name/],
    ["an interval below a second", { schedule: { kind: "every", everyMs: 10 } }, /everyMs/],
    ["an expression that nobody understands", { schedule: { kind: "cron", expr: "at noon" } }, /"at noon"/],
    [
      "a time that never comes",
      { schedule: { kind: "cron", expr: "0 0 31 2 *" } },
      /no time that will ever come/,
    ],
    [
      "a time zone that there is not",
      { schedule: { kind: "cron", expr: "0 0 * * *", tz: "Mars/Olympus" } },
      /Mars\/Olympus/,
    ],
    ["a time that is over", { schedule: { kind: "at", at: "2020-01-01T00:00:00Z" } }, /is in the past/],
    ["no time", { schedule: { kind: "at", at: "tomorrow" } }, /ISO-8601/],
    [
      "a command to wait for",
      { schedule: { kind: "on-exit", command: ["ls"] } },
      /must be at, every or cron/,
    ],
    ["a command to run", { payload: { kind: "command", argv: ["ls"] } }, /must be agentTurn or systemEvent/],
    [
      "a system event in a session of its own",
      { payload: { kind: "systemEvent", text: "x" } },
      /require payload.kind="agentTurn"/,
    ],
    ["a message for the main session", { sessionTarget: "main" }, /require payload.kind="systemEvent"/],
    ["another target", { sessionTarget: "current" }, /main, isolated or session:<key>/],
    ["a channel", { delivery: { mode: "announce", channel: "telegram", to: "1" } }, /delivery to channels/],
    ["a webhook", { delivery: { mode: "webhook", to: "https://example.org" } }, /delivery to channels/],
    ["an alert", { failureAlert: { after: 1 } }, /failureAlert/],
    ["a trigger", { trigger: { script: "1" } }, /triggers/],
    ["fewer tools", { payload: { kind: "agentTurn", message: "x", toolsAllow: ["read"] } }, /toolsAllow/],
    ["an unknown agent", { agentId: "nobody" }, /"nobody"/],
    ["an unknown model", { payload: { kind: "agentTurn", message: "x", model: "a/b" } }, /a\/b/],
    ["an id that is a path", { id: "../x" }, /id/],
  ])("are refused with %s, in one clear sentence", async (_what, over, why) => {
    const { refused, client } = await setup();
    expect(await refused("cron.add", { ...JOB, ...over })).toMatch(why);
    expect(await client.ok("cron.status", {})).toMatchObject({ jobs: 0 });
  });

  it("run by hand at once, in a session of their own and their lane, once at a time", async () => {
    const { pool, client, add } = await setup();
    const { id } = await add();
    const hand = await handWorker(pool);
    const ran = await client.ok("cron.run", { id, mode: "force" });
    expect(ran).toMatchObject({ ok: true, enqueued: true });
    expect(await client.ok("cron.run", { id })).toEqual({ ok: true, ran: false, reason: "already-running" });
    expect(await client.ok("cron.get", { id })).toMatchObject({
      state: { runningAtMs: expect.any(Number) as number },
    });
    const key = sessionKey(`agent:main:cron:${id}`);
    const run = await hand.claim(key);
    expect(run.grant).toMatchObject({
      runId: ran["runId"],
      lane: "cron",
      input: { body: { inline: { content: `[cron:${id} hourly] look around` } } },
    });
    await run.finish("all is well");
    expect(await client.ok("cron.runs", { id, runId: ran["runId"] })).toMatchObject({
      entries: [
        {
          jobId: id,
          jobName: "hourly",
          action: "finished",
          status: "ok",
          completionStatus: "succeeded",
          summary: "all is well",
          sessionKey: key,
        },
      ],
      total: 1,
    });
    expect(await pool.sessions.port.get(ACME, key)).not.toBeNull();
  });

  it("share their lane with what a user says in their session: a session has one lane", async () => {
    const { pool, client, add } = await setup();
    const { id } = await add();
    const key = `agent:main:cron:${id}`;
    await client.ok("cron.run", { id });
    await client.ok("chat.send", { sessionKey: key, message: "and?", idempotencyKey: "k" });
    const runs = await pool.ledger.port.list(ACME, { sessionKey: sessionKey(key), limit: 9 });
    expect(runs.map(({ lane }) => lane)).toEqual(["cron", "cron"]);
  });

  it("do not run before their time where only what is due is to run", async () => {
    const { client, add } = await setup();
    const { id } = await add();
    expect(await client.ok("cron.run", { id, mode: "due" })).toEqual({
      ok: true,
      ran: false,
      reason: "not-due",
    });
  });

  it("are told to all clients of the tenant when they change", async () => {
    const { client, add } = await setup();
    const { id } = await add();
    await client.ok("cron.update", { id, patch: { enabled: false } });
    await client.ok("cron.remove", { id });
    const heard = () =>
      client.events("cron").map(({ payload }) => (payload as { action: string; jobId: string }).action);
    await until(() => heard().length === 3);
    expect(heard()).toEqual(["added", "updated", "removed"]);
  });

  it("are gone once they were removed, and unknown ones are named", async () => {
    const { client, add, refused } = await setup();
    const { id } = await add();
    expect(await client.ok("cron.remove", { id })).toEqual({ ok: true, removed: true });
    for (const name of ["cron.get", "cron.remove", "cron.run", "cron.runs"]) {
      expect(await refused(name, { id })).toContain(`cron job not found: ${id}`);
    }
    expect((await client.request("cron.update", { id, patch: { name: "x" } })).error).toMatchObject({
      details: { code: "CRON_JOB_NOT_FOUND", jobId: id },
    });
    expect(await refused("cron.get", {})).toContain("missing id");
  });

  it("are background tasks of the tenant while and after they run", async () => {
    const { pool, client, add } = await setup();
    const { id } = await add();
    await client.ok("cron.run", { id });
    const tasks = async (params: object) =>
      (await client.ok("tasks.list", { ...params }))["tasks"] as readonly Record<string, unknown>[];
    expect(await tasks({ status: ["queued", "running"] })).toMatchObject([
      { kind: "automation_run", runtime: "cron", title: "hourly", sourceId: id, status: "queued" },
    ]);
    expect(await tasks({ sessionKey: "main", status: "queued" })).toEqual([]);
    const run = await (await handWorker(pool)).claim(`agent:main:cron:${id}`);
    await run.finish("all is well");
    expect(await tasks({ status: ["queued", "running"] })).toEqual([]);
    expect(await tasks({ agentId: "main", sortBy: "endedAt", limit: 1 })).toMatchObject([
      { status: "completed", terminalSummary: "all is well", execution: { state: "finished" } },
    ]);
  });

  it("are an admin's to change", async () => {
    const { gateway, add } = await setup();
    const { id } = await add();
    const reader = await connectWire(gateway, { token: READER_TOKEN, scopes: ["operator.read"] });
    expect(await reader.ok("cron.list", {})).toMatchObject({ total: 1 });
    for (const name of ["cron.add", "cron.update", "cron.remove", "cron.run"]) {
      expect((await reader.request(name, { id, ...JOB, patch: {} })).error?.message).toContain("scope");
    }
  });
});
