import { describe, expect, it } from "vitest";
import { gate } from "../../server/adapters/scripted-agent/gate.ts";
import { sessionKey } from "../../server/core/ids.ts";
import { memoryPool, SESSION, TENANT } from "../../server/testing/memory-pool.ts";
import { runCli } from "../testing/run-cli.ts";

const OWN = ["--tenant", TENANT, "--json"];

/** A pool whose stores the commands open. */
async function setup(script?: Parameters<typeof memoryPool>[0]) {
  const pool = await memoryPool(script);
  const { bus, ledger, objects, queue, sessions } = pool;
  const ports = {
    bus: bus.port,
    ledger: ledger.port,
    objects: objects.port,
    queue: queue.port,
    sessions: sessions.port,
  };
  return { ...pool, cli: (...argv: string[]) => runCli(argv, { ports }) };
}

describe("openclaw-ha runs", () => {
  it("lists runs newest first, in the shape that scripts rely on", async () => {
    const { cli, send } = await setup();
    await send("one", "run-1");
    await send("two", "run-2", { session: "agent:main:other" });
    const run = await cli("runs", "list", ...OWN);
    expect(run.exitCode).toBe(0);
    expect(run.json()).toEqual([
      {
        runId: "run-2",
        sessionKey: "agent:main:other",
        status: "queued",
        attempt: 0,
        acceptedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
      expect.objectContaining({ runId: "run-1", sessionKey: SESSION }),
    ]);
  });

  it("filters by session and status, and pages", async () => {
    const { cli, send } = await setup();
    for (let i = 0; i < 5; i++) await send("text", `run-${i}`, { session: `agent:main:s${i % 2}` });
    const ids = async (...argv: string[]): Promise<string[]> =>
      ((await cli("runs", "list", ...OWN, ...argv)).json() as { runId: string }[]).map(({ runId }) => runId);
    expect(await ids("--session", "s1")).toEqual(["run-3", "run-1"]);
    expect(await ids("--limit", "2")).toEqual(["run-4", "run-3"]);
    expect(await ids("--limit", "2", "--before", "run-3")).toEqual(["run-2", "run-1"]);
    expect(await ids("--limit", "all", "--status", "queued,running")).toHaveLength(5);
    expect(await ids("--status", "dead")).toEqual([]);
    expect((await cli("runs", "list", "--status", "asleep")).exitCode).toBe(2);
    const lost = await cli("runs", "list", "--before", "nobody", ...OWN);
    expect(lost.json()).toMatchObject({ error: { code: "NOT_FOUND", message: "there is no run nobody" } });
  });

  it("filters by agent, kind of error and time, and says how the next page is reached", async () => {
    const { cli, ended, send, worker } = await setup({
      script: () => [{ fail: { kind: "model_auth", message: "no key" } }],
    });
    await worker();
    await ended(await send("one", "run-1"));
    const ids = async (...argv: string[]): Promise<string[]> =>
      ((await cli("runs", "list", ...OWN, ...argv)).json() as { runId: string }[]).map(({ runId }) => runId);
    expect(await ids("--error", "model_auth", "--since", "1h")).toEqual(["run-1"]);
    expect(await ids("--error", "timeout")).toEqual([]);
    expect(await ids("--agent", "main", "--status", "failed,dead")).toEqual(["run-1"]);
    expect(await ids("--agent", "other")).toEqual([]);
    expect(await ids("--since", "2099-01-01")).toEqual([]);
    expect((await cli("runs", "list", "--since", "yesterday", ...OWN)).exitCode).toBe(2);
    await send("two", "run-2");
    const page = await cli("runs", "list", "--limit", "1", ...OWN);
    expect(page.stderr).toBe("for the next page: --before run-2\n");
  });

  it("says what to do where PostgreSQL does not answer", async () => {
    const { cli, ledger } = await setup();
    ledger.break("before");
    const run = await cli("--name", "blue", "runs", "list", ...OWN);
    expect(run.exitCode).toBe(69);
    const hint = expect.stringContaining("`openclaw-ha --name blue up`") as unknown;
    expect(run.json()).toMatchObject({ error: { code: "STORE_UNAVAILABLE", hint } });
  });

  it("reads all runs, page by page", async () => {
    const { cli, realLedger, send } = await setup();
    for (let i = 0; i < 501; i++) await send("text", `run-${i}`);
    expect((await cli("runs", "list", "--limit", "all", ...OWN)).json()).toHaveLength(501);
    expect(await realLedger.list(TENANT, { limit: 1 })).toHaveLength(1);
  });

  it("shows nothing of another tenant", async () => {
    const { cli, send } = await setup();
    await send("one", "run-1");
    expect((await cli("runs", "list", "--json")).json()).toEqual([]);
    const shown = await cli("runs", "show", "run-1", "--json");
    expect(shown).toMatchObject({ exitCode: 1 });
    expect(shown.json()).toMatchObject({ error: { code: "NOT_FOUND", message: "there is no run run-1" } });
  });

  it("shows a run with its answer", async () => {
    const { cli, ended, send, worker } = await setup({ script: () => [{ say: "the answer" }] });
    await worker();
    await ended(await send("question", "run-1"));
    const { exitCode, stdout } = await cli("runs", "show", "run-1", "--tenant", TENANT);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^status:\s+succeeded$/m);
    expect(stdout).toMatch(/\n\nthe answer\n$/);
    expect(stdout).toMatch(/\nEVENT +TIME +WHAT\n1 +\S+ +started/);
    expect((await cli("runs", "show", "run-1", ...OWN)).json()).toMatchObject({
      status: "succeeded",
      attempt: 1,
      result: { text: "the answer" },
      steps: [],
      events: expect.arrayContaining([expect.objectContaining({ type: "final", text: "the answer" })]),
    });
  });

  it("cancels a queued run and tells its followers", async () => {
    const { cli, send, story } = await setup();
    const id = await send("one", "run-1");
    const run = await cli("runs", "cancel", "run-1", ...OWN);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ outcome: "aborted", runId: "run-1", status: "aborted" });
    expect((await story(id)).map(({ body, runSeq }) => [body.type, runSeq])).toEqual([["aborted", 1]]);
  });

  it("cancels a running run through its worker and waits for its end", async () => {
    const running = gate();
    const { cli, send, worker } = await setup({ script: () => [{ say: "begun" }, { gate: running }] });
    await worker();
    await send("one", "run-1");
    await running.reached;
    const run = await cli("runs", "cancel", "run-1", ...OWN);
    expect(run.json()).toMatchObject({ outcome: "aborted", status: "aborted" });
  });

  it("exits 1 for a run that had ended, and for one that there is not", async () => {
    const { cli, send } = await setup();
    await send("one", "run-1");
    await cli("runs", "cancel", "run-1", ...OWN);
    const again = await cli("runs", "cancel", "run-1", ...OWN);
    expect(again).toMatchObject({ exitCode: 1 });
    expect(again.json()).toMatchObject({ outcome: "ended", status: "aborted" });
    expect(await cli("runs", "cancel", "run-2", ...OWN)).toMatchObject({ exitCode: 1 });
  });

  it("redrives a failed run under its own id, also while the queue is away", async () => {
    let fails = true;
    const { cli, ended, queue, send, worker } = await setup({
      script: () => (fails ? [{ fail: { kind: "model_auth", message: "no key" } }] : [{ say: "answered" }]),
    });
    await worker();
    const id = await send("one", "run-1");
    expect(await ended(id)).toMatchObject({ status: "failed", error: { kind: "model_auth" } });
    fails = false;
    queue.break("before", ["enqueue"]);
    const run = await cli("runs", "redrive", "run-1", ...OWN);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.json()).toMatchObject({ runId: "run-1", status: "queued" });
    queue.mend();
    await queue.port.enqueue([
      { tenant: TENANT, sessionKey: sessionKey(SESSION), lane: "main", pool: "shared" },
    ]);
    expect(await ended(id)).toMatchObject({ status: "succeeded", result: { text: "answered" } });
  });

  it("refuses to redrive a run that is open", async () => {
    const { cli, send } = await setup();
    await send("one", "run-1");
    const run = await cli("runs", "redrive", "run-1", ...OWN);
    expect(run).toMatchObject({ exitCode: 1 });
    expect(run.json()).toMatchObject({
      error: { code: "REQUEST_CONFLICT", message: expect.stringContaining("is queued") },
    });
  });

  it("says that the database is away, with exit code 69", async () => {
    const { cli, ledger } = await setup();
    ledger.break("before");
    const run = await cli("runs", "list", ...OWN);
    expect(run).toMatchObject({ exitCode: 69 });
    expect(run.json()).toMatchObject({ error: { code: "STORE_UNAVAILABLE" } });
  });
});
