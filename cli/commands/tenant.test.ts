import { describe, expect, it } from "vitest";
import { memoryStoreState } from "../../server/adapters/memory/state.ts";
import { memoryTenantDirectory } from "../../server/adapters/memory/tenant-directory.ts";
import { systemClock } from "../../server/adapters/system/clock.ts";
import { tenantId } from "../../server/core/ids.ts";
import { runCli } from "../testing/run-cli.ts";

function setup() {
  const directory = memoryTenantDirectory(memoryStoreState({ clock: systemClock }));
  const cli = (...argv: string[]) => runCli(["tenant", ...argv], { directory });
  return { directory, cli };
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
});
