import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { tenantId } from "../../server/core/ids.ts";
import { keepTenantToken } from "../../server/supervisor/tenant-tokens.ts";
import { newDeployment, writeDeployment } from "../../server/supervisor/deployment.ts";
import { newSecrets, writeSecrets } from "../../server/supervisor/secrets.ts";
import { DEFAULT_TOPOLOGY } from "../desired-topology.ts";
import { runCli } from "../testing/run-cli.ts";
import { shellQuote } from "./env.ts";

/** A deployment that ran once, as its files tell; nothing of it runs. */
async function setup(controlUi: string | null = null) {
  const dataDir = await mkdtemp(path.join(tmpdir(), "openclaw-ha-env-"));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const secrets = {
    ...newSecrets(),
    gatewayToken: "tok'en",
    urls: {
      postgresAdmin: "postgres://postgres:fake@127.0.0.1:1/openclaw_ha",
      postgres: "postgres://app:fake@127.0.0.1:1/openclaw_ha",
      redis: "redis://:fake@127.0.0.1:2",
    },
  };
  await writeSecrets(dataDir, secrets);
  await writeDeployment(dataDir, {
    ...newDeployment("blue", "id"),
    desired: { ...DEFAULT_TOPOLOGY, controlUi },
    phase: "stopped",
    ports: { public: 1, postgres: 1, redis: 2 },
  });
  return { dataDir };
}

describe("openclaw-ha env", () => {
  it("answers while the deployment is down, and says so on stderr", async () => {
    const { dataDir } = await setup();
    const run = await runCli(["env", "--json", "--name", "blue", "--data-dir", dataDir]);
    expect(run.exitCode).toBe(0);
    expect(run.json()).toEqual({
      OPENCLAW_GATEWAY_URL: "ws://127.0.0.1:1",
      OPENCLAW_GATEWAY_TOKEN: "tok'en",
      OPENAI_BASE_URL: "http://127.0.0.1:1/v1",
      OPENAI_API_KEY: "tok'en",
      DATABASE_URL: "postgres://postgres:fake@127.0.0.1:1/openclaw_ha",
      REDIS_URL: "redis://:fake@127.0.0.1:2",
    });
    expect(run.stderr).toMatch(/^warning: deployment "blue" does not answer/);
  });

  it("has the Control UI's address with the token behind its #, where there is a Control UI", async () => {
    const { dataDir } = await setup("/somewhere/control-ui");
    const { stdout } = await runCli(["env", "--json", "--data-dir", dataDir]);
    expect(JSON.parse(stdout)).toMatchObject({
      OPENCLAW_CONTROL_UI_URL: "http://127.0.0.1:1/#token=tok'en",
    });
  });

  it("prints exports that a shell takes back unchanged", async () => {
    const { dataDir } = await setup();
    const { stdout } = await runCli(["env", "--data-dir", dataDir]);
    const script = `${stdout}\nprintf %s "$OPENCLAW_GATEWAY_TOKEN"`;
    expect(execFileSync("sh", ["-c", script], { encoding: "utf8" })).toBe("tok'en");
  });

  it("does not take the deployment's own token for another tenant's", async () => {
    const { dataDir } = await setup();
    const argv = ["env", "--json", "--tenant", "acme", "--data-dir", dataDir];
    expect(await runCli(argv, { env: { OPENCLAW_GATEWAY_TOKEN: "tok'en" } })).toMatchObject({ exitCode: 78 });
  });

  it("knows another tenant's token where `tenant` gave it out here, or from the environment", async () => {
    const { dataDir } = await setup();
    const argv = ["env", "--json", "--tenant", "acme", "--data-dir", dataDir];
    const unknown = await runCli(argv);
    expect(unknown).toMatchObject({ exitCode: 78 });
    expect(unknown.json()).toMatchObject({ error: { code: "UNAUTHORIZED" } });
    const known = await runCli(argv, { env: { OPENCLAW_GATEWAY_TOKEN: "acme's" } });
    expect(known.json()).toMatchObject({ OPENCLAW_GATEWAY_TOKEN: "acme's" });
    await keepTenantToken(dataDir, tenantId("acme"), { token: "kept", label: "operator" });
    const kept = await runCli(argv, { env: { OPENCLAW_GATEWAY_TOKEN: "acme's" } });
    expect(kept.json()).toMatchObject({ OPENCLAW_GATEWAY_TOKEN: "kept" });
  });

  it("exits 69 where there never was a deployment", async () => {
    const run = await runCli(["env", "--data-dir", "/nonexistent/x"]);
    expect(run).toMatchObject({
      exitCode: 69,
      stdout: "",
      stderr: expect.stringContaining("openclaw-ha up"),
    });
  });

  it.each(["plain", "it's", "a b", '$(x) `y` "z" \\', "line\nbreak", ""])(
    "quotes %j as one word",
    (value) => {
      expect(execFileSync("sh", ["-c", `printf %s ${shellQuote(value)}`], { encoding: "utf8" })).toBe(value);
    },
  );
});
