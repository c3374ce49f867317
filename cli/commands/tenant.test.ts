import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { memoryObjectStore } from "../../server/adapters/memory/object-store.ts";
import { memorySessionStore } from "../../server/adapters/memory/session-store.ts";
import { memoryStoreState } from "../../server/adapters/memory/state.ts";
import { memoryTenantDirectory } from "../../server/adapters/memory/tenant-directory.ts";
import { systemClock } from "../../server/adapters/system/clock.ts";
import { agentId, sessionKey, tenantId } from "../../server/core/ids.ts";
import { type CliWorld, runCli } from "../testing/run-cli.ts";

function setup() {
  const state = memoryStoreState({ clock: systemClock });
  const directory = memoryTenantDirectory(state);
  const cli = (...argv: string[]) => runCli(["tenant", ...argv], { directory });
  return { directory, cli, state };
}

describe("openclaw-ha tenant", () => {
  it("adds a tenant and prints a token of it that has all rights, and nothing else on stdout", async () => {
    const { cli, directory } = setup();
    const { exitCode, stdout } = await cli("add", "acme");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^[\w-]{43}\n$/);
    expect(await directory.authenticate(stdout.trim())).toMatchObject({
      tenant: "acme",
      pool: "shared",
      scopes: ["operator.admin"],
    });
  });

  it("prints the token with --json once: no list shows it", async () => {
    const { cli } = setup();
    const added = (await cli("add", "acme", "--json")).json() as { token: string };
    expect(added).toEqual({
      id: "acme",
      pool: "shared",
      disabled: false,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      limits: {},
      effectiveLimits: {},
      token: expect.any(String),
      label: "operator",
      scopes: ["operator.admin"],
      kept: false,
    });
    const listed = await cli("list", "--json");
    const { token, label, scopes, kept, ...row } = added as Record<string, unknown>;
    expect([token, label, scopes, kept]).not.toContain(undefined);
    expect(listed.json()).toEqual([row]);
    expect(listed.stdout).not.toContain(added.token);
  });

  it("refuses to add a tenant twice, and makes no token then", async () => {
    const { cli } = setup();
    await cli("add", "acme");
    const again = await cli("add", "acme", "--json");
    expect(again).toMatchObject({ exitCode: 1 });
    expect(again.json()).toMatchObject({
      error: { code: "REQUEST_CONFLICT", hint: expect.stringContaining("tenant token acme") },
    });
  });

  it("warns of a pool that no worker of `up` serves", async () => {
    const { cli, directory } = setup();
    const { stderr } = await cli("add", "acme", "--pool", "vip");
    expect(stderr).toContain("pools.dedicated");
    expect(await directory.tenants()).toMatchObject([{ id: "acme", pool: "vip" }]);
  });

  it("makes tokens with the scopes asked for, and voids those that it replaces", async () => {
    const { cli, directory } = setup();
    await cli("add", "acme");
    const reader = (
      await cli("token", "acme", "--scopes", "operator.read", "--label", "phone")
    ).stdout.trim();
    expect(await directory.authenticate(reader)).toMatchObject({ tenant: "acme", scopes: ["operator.read"] });
    const next = (await cli("token", "acme", "--label", "phone", "--replace")).stdout.trim();
    expect(await directory.authenticate(reader)).toBeNull();
    expect(await directory.authenticate(next)).toMatchObject({ scopes: ["operator.admin"] });
  });

  it("leaves the deployment's own token alone", async () => {
    const { cli, directory } = setup();
    await directory.addTenant(tenantId("default"), "shared");
    expect(await cli("token", "default", "--label", "operator", "--replace")).toMatchObject({ exitCode: 2 });
    expect(await cli("token", "default")).toMatchObject({ exitCode: 0 });
  });

  it("disables and enables", async () => {
    const { cli, directory } = setup();
    const token = (await cli("add", "acme")).stdout.trim();
    const disabled = await cli("disable", "acme", "--json");
    expect(disabled.json()).toMatchObject({ id: "acme", disabled: true });
    expect(await directory.authenticate(token)).toBeNull();
    expect((await cli("list")).stdout).toMatch(/acme\s+shared\s+disabled/);
    await cli("enable", "acme");
    expect(await directory.authenticate(token)).not.toBeNull();
  });

  it.each([
    ["disable", "nobody", 1, "NOT_FOUND"],
    ["token", "nobody", 1, "NOT_FOUND"],
    ["add", "Not A Tenant", 2, "REQUEST_INVALID"],
  ])("%s %s exits %i", async (verb, id, exitCode, code) => {
    const run = await setup().cli(verb, id, "--json");
    expect(run).toMatchObject({ exitCode });
    expect(run.json()).toMatchObject({ error: { code } });
  });

  it("refuses unknown scopes and odd pools as usage", async () => {
    const { cli } = setup();
    expect(await cli("token", "acme", "--scopes", "root")).toMatchObject({ exitCode: 2 });
    expect(await cli("add", "acme", "--pool", "a b")).toMatchObject({ exitCode: 2 });
  });

  it("changes one limit and leaves the others; none lifts, default follows the deployment's", async () => {
    const { cli, directory } = setup();
    await directory.setDefaultLimits({ sessions: 50, requestsPerMinute: 10 });
    await cli("add", "acme");
    await cli("limits", "acme", "--requests-per-minute", "600", "--queued-runs", "5");
    const changed = await cli("limits", "acme", "--storage-bytes", "1000000", "--sessions", "none", "--json");
    expect(changed.json()).toMatchObject({
      id: "acme",
      limits: { requestsPerMinute: 600, queuedRuns: 5, storageBytes: 1_000_000, sessions: null },
      effectiveLimits: { requestsPerMinute: 600, queuedRuns: 5, storageBytes: 1_000_000 },
    });
    await cli("limits", "acme", "--requests-per-minute", "default", "--sessions", "default");
    const shown = await cli("limits", "acme");
    expect(shown.stdout).toBe("requestsPerMinute 10, queuedRuns 5, sessions 50, storageBytes 1000000\n");
    expect((await cli("list")).stdout).toContain("requestsPerMinute 10");
  });

  it("shows a tenant with what it uses and its tokens, never a token itself", async () => {
    const { cli } = setup();
    const token = (await cli("add", "acme")).stdout.trim();
    const shown = await cli("show", "acme", "--json");
    expect(shown.json()).toMatchObject({
      id: "acme",
      usage: { sessions: 0, runningRuns: 0, queuedRuns: 0, storageBytes: 0 },
      tokens: [{ label: "operator", revokedAt: null }],
    });
    expect(shown.stdout).not.toContain(token);
    expect((await cli("show", "acme")).stdout).toMatch(/pool:\s+shared/);
  });

  it("lists tokens and revokes one by the beginning of its id, or those of a label", async () => {
    const { cli, directory } = setup();
    const first = (await cli("add", "acme")).stdout.trim();
    const ci = (await cli("token", "acme", "--label", "ci")).stdout.trim();
    const listed = (await cli("token", "list", "acme", "--json")).json() as { id: string; label: string }[];
    expect(listed.map(({ label }) => label).toSorted()).toEqual(["ci", "operator"]);
    const { id } = listed.find(({ label }) => label === "operator")!;
    expect((await cli("token", "revoke", "acme", id.slice(0, 12), "--json")).json()).toEqual({
      tenant: "acme",
      revoked: 1,
    });
    expect(await directory.authenticate(first)).toBeNull();
    expect(await directory.authenticate(ci)).not.toBeNull();
    expect(await cli("token", "revoke", "acme")).toMatchObject({ exitCode: 2 });
    expect(await cli("token", "revoke", "acme", "zz")).toMatchObject({ exitCode: 1 });
    expect((await cli("token", "revoke", "acme", "--label", "ci", "--json")).json()).toMatchObject({
      revoked: 1,
    });
    expect(await directory.authenticate(ci)).toBeNull();
    expect((await cli("token", "list", "acme")).stdout).toMatch(/ci\s+operator\.admin/);
  });

  it("moves a tenant to another pool", async () => {
    const { cli, directory } = setup();
    await cli("add", "acme");
    expect((await cli("move", "acme", "--pool", "vip", "--json")).json()).toMatchObject({ pool: "vip" });
    expect(await directory.tenants()).toMatchObject([{ id: "acme", pool: "vip" }]);
    expect(await cli("move", "acme", "--pool", "a b")).toMatchObject({ exitCode: 2 });
    expect(await cli("move", "acme")).toMatchObject({ exitCode: 2 });
  });

  it("removes a disabled tenant when it is told where its data goes and that it is meant", async () => {
    const { cli, directory } = setup();
    await cli("add", "acme");
    expect(await cli("remove", "acme", "--no-export", "--yes")).toMatchObject({ exitCode: 1 });
    await cli("disable", "acme");
    expect(await cli("remove", "acme", "--yes")).toMatchObject({ exitCode: 2 });
    expect(await cli("remove", "acme", "--no-export")).toMatchObject({ exitCode: 2 });
    expect(await cli("remove", "default", "--no-export", "--yes")).toMatchObject({ exitCode: 2 });
    const removed = await cli("remove", "acme", "--no-export", "--yes", "--json");
    expect(removed.json()).toEqual({ id: "acme", removed: true, exported: 0 });
    expect(await directory.tenants()).toEqual([]);
    const again = await cli("add", "acme", "--json");
    expect(again.json()).toMatchObject({ error: { code: "REQUEST_CONFLICT" } });
  });

  it("exports sessions and transcripts before it removes", async () => {
    const { cli, directory, state } = setup();
    const dir = path.join(await mkdtemp(path.join(tmpdir(), "openclaw-ha-export-")), "acme");
    onTestFinished(() => rm(path.dirname(dir), { recursive: true }));
    await cli("add", "acme");
    const sessions = memorySessionStore(state);
    const key = sessionKey("agent:main:main");
    const tenant = tenantId("acme");
    await sessions.create(tenant, { key, agentId: agentId("main"), sessionId: "s-1", createdVia: "test" });
    const said = { role: "user", content: "good bye", timestamp: 1 } as const;
    await sessions.append(tenant, key, { messageId: "m-1", body: { inline: said } });
    const ports = { sessions, objects: memoryObjectStore() } as unknown as CliWorld["ports"];
    await cli("disable", "acme");
    const run = await runCli(["tenant", "remove", "acme", "--export", dir, "--yes"], { directory, ports });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(await readFile(path.join(dir, "sessions.json"), "utf8"))).toMatchObject([{ key }]);
    const [line] = (await readFile(path.join(dir, "transcripts", "s-1.jsonl"), "utf8")).split("\n");
    expect(JSON.parse(line!)).toMatchObject({ messageId: "m-1", message: said });
    expect(await directory.tenants()).toEqual([]);
  });
});
