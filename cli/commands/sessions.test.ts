import { describe, expect, it } from "vitest";
import { agentId, sessionKey } from "../../server/core/ids.ts";
import { archive } from "../../server/control/archiver.ts";
import { memoryPool, SESSION, TENANT } from "../../server/testing/memory-pool.ts";
import { runCli } from "../testing/run-cli.ts";

const OWN = ["--tenant", TENANT, "--json"];

async function setup() {
  const pool = await memoryPool({ script: (turn) => [{ say: `answer ${turn.messages.length}` }] });
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

describe("openclaw-ha sessions", () => {
  it("lists sessions by their last update, in the shape that scripts rely on", async () => {
    const { cli, ended, send, sessions, worker } = await setup();
    await worker();
    await ended(await send("hello", "run-1"));
    await sessions.port.create(TENANT, {
      key: sessionKey("agent:main:notes"),
      agentId: agentId("main"),
      sessionId: "00000000-0000-4000-8000-000000000001",
      createdVia: "test",
      label: "Notes",
    });
    const run = await cli("sessions", "list", ...OWN);
    expect(run.exitCode).toBe(0);
    const rows = run.json() as { key: string }[];
    expect(rows.find(({ key }) => key === SESSION)).toEqual({
      key: SESSION,
      sessionId: expect.any(String),
      agentId: "main",
      updatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      messages: 2,
    });
    expect(rows.find(({ key }) => key === "agent:main:notes")).toMatchObject({ messages: 0, label: "Notes" });
  });

  it("pages with --before, and reads all of them page by page", async () => {
    const { cli, send } = await setup();
    for (let i = 0; i < 501; i++) await send("x", `run-${i}`, { session: `agent:main:s${i}` });
    const keys = async (...argv: string[]): Promise<string[]> =>
      ((await cli("sessions", "list", ...OWN, ...argv)).json() as { key: string }[]).map(({ key }) => key);
    const all = await keys("--limit", "all");
    expect(new Set(all).size).toBe(501);
    const first = await keys("--limit", "3");
    expect(first).toEqual(all.slice(0, 3));
    expect(await keys("--limit", "3", "--before", first[2] ?? "")).toEqual(all.slice(3, 6));
    const lost = await cli("sessions", "list", "--before", "agent:main:nobody", ...OWN);
    expect(lost.json()).toMatchObject({ error: { code: "NOT_FOUND" } });
    expect(await keys()).toHaveLength(100);
  });

  it("shows a session with its newest messages, oldest first", async () => {
    const { cli, ended, send, worker } = await setup();
    await worker();
    await ended(await send("one", "run-1"));
    await ended(await send("two", "run-2"));
    const { json } = await cli("sessions", "show", "main", "--limit", "3", ...OWN);
    expect(json()).toMatchObject({
      key: SESSION,
      messages: 4,
      lastRunId: "run-2",
      transcript: [
        { seq: 2, role: "assistant", text: "answer 1", runId: "run-1" },
        { seq: 3, role: "user", text: "two" },
        { seq: 4, role: "assistant", text: "answer 3" },
      ],
    });
    const { stdout } = await cli("sessions", "show", "main", "--tenant", TENANT);
    expect(stdout).toMatch(/\[\d{4}-.*Z\] user\ntwo\n/);
  });

  it("shows messages that were moved to object storage", async () => {
    const { cli, ended, logger, objects, send, sessions, worker } = await setup();
    await worker();
    for (let i = 1; i <= 4; i++) await ended(await send(`text ${i}`, `run-${i}`));
    await archive({ sessions: sessions.port, objects: objects.port, logger, tailRows: 2 });
    const { json } = await cli("sessions", "show", "main", ...OWN);
    const texts = (json() as { transcript: { text: string }[] }).transcript.map(({ text }) => text);
    expect(texts.filter((text) => text.startsWith("text"))).toEqual(["text 1", "text 2", "text 3", "text 4"]);
    expect(texts).toHaveLength(8);
  });

  it("shows none of the messages from before a reset", async () => {
    const { cli, ended, send, sessions, worker } = await setup();
    await worker();
    await ended(await send("secret plans", "run-1"));
    await sessions.port.reset(TENANT, SESSION, "new");
    const { stdout } = await cli("sessions", "show", "main", ...OWN);
    expect(stdout).not.toContain("secret plans");
  });

  it("exits 1 for a session that there is not, or that is another tenant's", async () => {
    const { cli, send } = await setup();
    await send("x", "run-1");
    const run = await cli("sessions", "show", "main", "--json");
    expect(run).toMatchObject({ exitCode: 1 });
    expect(run.json()).toMatchObject({
      error: { code: "NOT_FOUND", message: `there is no session ${SESSION}` },
    });
  });
});
