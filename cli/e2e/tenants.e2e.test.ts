import { stat } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";

let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment({ gateways: 1, workers: 1 });
  return () => deployment.close();
});

const cli = (...args: string[]) => deployment.cli(args);
const envOf = async (tenant: string) =>
  (await cli("env", "--json", "--tenant", tenant)).json() as Record<string, string>;

describe("tenants of a deployment", () => {
  it("a tenant that was added sends and reads with the token that this machine kept, apart from others", async () => {
    const added = (await cli("tenant", "add", "acme", "--json")).json() as { token: string; kept: boolean };
    expect(added.kept).toBe(true);
    expect((await envOf("acme"))["OPENCLAW_GATEWAY_TOKEN"]).toBe(added.token);
    const file = await stat(path.join(deployment.dataDir, "tenants", "acme.json"));
    expect(file.mode & 0o777).toBe(0o600);

    // As after `eval "$(openclaw-ha env)"`: that token is another tenant's.
    const { OPENCLAW_GATEWAY_TOKEN } = await deployment.env();
    const sent = await deployment.cli(["send", "--tenant", "acme", "hello from acme"], {
      env: { OPENCLAW_GATEWAY_TOKEN },
    });
    expect(sent).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("hello from acme") });
    const sessions = async (tenant: string) =>
      (await cli("sessions", "list", "--json", "--tenant", tenant)).json() as { key: string }[];
    expect(await sessions("acme")).toMatchObject([{ key: "agent:main:main" }]);
    expect(await sessions("default")).toEqual([]);
    expect((await deployment.status()).tenants).toEqual([
      { id: "acme", pool: "shared" },
      { id: "default", pool: "shared" },
    ]);
  });

  it("a replaced token is the one that is used from then on, over a restart too", async () => {
    const before = (await envOf("acme"))["OPENCLAW_GATEWAY_TOKEN"];
    const { stdout } = await cli("tenant", "token", "acme", "--label", "operator", "--replace");
    expect(stdout.trim()).not.toBe(before);
    expect((await envOf("acme"))["OPENCLAW_GATEWAY_TOKEN"]).toBe(stdout.trim());
    await deployment.up();
    expect(await cli("send", "--tenant", "acme", "again")).toMatchObject({ exitCode: 0 });
  });

  it("another token may do only what its scopes say", async () => {
    const { stdout } = await cli("tenant", "token", "acme", "--label", "reader", "--scopes", "operator.read");
    const reader = await deployment.connect(undefined, { token: stdout.trim(), scopes: ["operator.read"] });
    expect(await reader.request("sessions.list", {})).toMatchObject({ ok: true });
    const send = { sessionKey: "main", message: "no", idempotencyKey: "reader-may-not" };
    expect(await reader.request("chat.send", send)).toMatchObject({
      ok: false,
      error: { code: "FORBIDDEN" },
    });
    await reader.close();
  });

  it("a disabled tenant is sent away and refused, the others are not", async () => {
    const token = (await envOf("acme"))["OPENCLAW_GATEWAY_TOKEN"];
    const [theirs, ours] = await Promise.all([
      deployment.connect(undefined, { token }),
      deployment.connect(),
    ]);
    expect(await cli("tenant", "disable", "acme")).toMatchObject({ exitCode: 0 });
    const send = { sessionKey: "main", message: "late", idempotencyKey: "after-disable" };
    expect(await theirs.request("chat.send", send)).toMatchObject({
      ok: false,
      error: { code: "FORBIDDEN" },
    });
    expect(await theirs.closing()).toEqual({ code: 1008, reason: "access revoked" });
    await until(async () => (await cli("send", "--tenant", "acme", "later")).exitCode === 78, {
      what: "a login of the disabled tenant that is refused",
    });
    expect(await ours.request("sessions.list", {})).toMatchObject({ ok: true });
    expect((await deployment.status()).tenants).toContainEqual({
      id: "acme",
      pool: "shared",
      disabled: true,
    });
    await ours.close();
    await cli("tenant", "enable", "acme");
    await until(async () => (await cli("send", "--tenant", "acme", "back")).exitCode === 0, {
      what: "a login of the tenant that is enabled again",
    });
  });
});
