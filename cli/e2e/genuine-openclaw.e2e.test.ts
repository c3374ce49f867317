import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import {
  cleanEnvironment,
  runProgram,
  startDeployment,
  type TestDeployment,
} from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";

/** Installed by bin/test: npm's openclaw@2026.9.6 as it is. */
const OPENCLAW = fileURLToPath(
  new URL("../../.cache/openclaw/node_modules/openclaw/openclaw.mjs", import.meta.url),
);
const NODE = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));
/** It takes 4 s to start on a machine of two cores that has nothing else to do. */
const TIMEOUT_MS = 120_000;

let deployment: TestDeployment;
/** Addresses of both gateways and the shared one. */
let urls: Readonly<Record<string, string>>;
let token: string;

beforeAll(async () => {
  if (!existsSync(OPENCLAW)) throw new Error("openclaw is not installed: run `bin/test e2e` once");
  deployment = await startDeployment();
  const env = await deployment.env();
  token = String(env["OPENCLAW_GATEWAY_TOKEN"]);
  const { instances } = await deployment.status();
  urls = Object.fromEntries([
    ["shared", String(env["OPENCLAW_GATEWAY_URL"])],
    ...instances.filter(({ pool }) => pool === "gateway").map(({ id, url }) => [id, String(url)]),
  ]) as Record<string, string>;
  return () => deployment.close();
});

/** Runs the genuine program in a home of its own, configured for a remote gateway as its documentation says. */
async function openclaw(gateway: string, ...args: readonly string[]) {
  const home = join(deployment.folder, `openclaw-${gateway}`);
  await mkdir(join(home, "state"), { recursive: true, mode: 0o700 });
  const config = join(home, "openclaw.json");
  const remote = { url: urls[gateway], token };
  await writeFile(config, JSON.stringify({ gateway: { mode: "remote", remote } }), { mode: 0o600 });
  return runProgram([OPENCLAW, ...args], {
    program: NODE,
    cwd: home,
    timeoutMs: TIMEOUT_MS,
    env: {
      ...cleanEnvironment(home),
      OPENCLAW_CONFIG_PATH: config,
      OPENCLAW_STATE_DIR: join(home, "state"),
    },
  });
}

describe("the genuine openclaw program, unmodified", () => {
  it.each(["gateway-1", "gateway-2"])("openclaw agent is answered through %s", async (gateway) => {
    const message = `hello through ${gateway}`;
    const asked = await openclaw(gateway, "agent", "--agent", "main", "--message", message, "--json");
    expect({ exitCode: asked.exitCode, stderr: asked.stderr }).toMatchObject({ exitCode: 0 });
    expect(asked.json()).toMatchObject({
      status: "ok",
      summary: "completed",
      result: {
        payloads: [{ text: expect.stringContaining(`You said: ${message}`) as unknown }],
        meta: { agentMeta: { provider: "demo" }, aborted: false },
      },
    });
  });

  it("both talked to the same session, whichever gateway they came through", async () => {
    const shown = await deployment.cli(["sessions", "show", "main", "--json"]);
    const { transcript } = shown.json() as { transcript: { role: string; text: string }[] };
    expect(transcript.filter(({ role }) => role === "user").map(({ text }) => text)).toEqual([
      "hello through gateway-1",
      "hello through gateway-2",
    ]);
  });

  it("openclaw gateway call health takes the address and the token as arguments", async () => {
    const url = String(urls["shared"]);
    const called = await openclaw(
      "shared",
      ..."gateway call health --json --url".split(" "),
      url,
      "--token",
      token,
    );
    expect({ exitCode: called.exitCode, stderr: called.stderr }).toMatchObject({ exitCode: 0 });
    expect(called.json()).toMatchObject({ ok: true, defaultAgentId: "main" });
  });

  it("openclaw gateway call status takes them from its configuration", async () => {
    const called = await openclaw("gateway-2", "gateway", "call", "status", "--json");
    expect({ exitCode: called.exitCode, stderr: called.stderr }).toMatchObject({ exitCode: 0 });
    expect(called.json()).toMatchObject({ sessions: { count: 1 }, gateway: { instance: "gateway-2" } });
  });

  it("openclaw health prints the agents and their sessions", async () => {
    const looked = await openclaw("gateway-1", "health");
    expect({ exitCode: looked.exitCode, stderr: looked.stderr }).toMatchObject({ exitCode: 0 });
    expect(looked.stdout).toContain("Session store (main): PostgreSQL (1 entries)\n- agent:main:main");
  });

  it("openclaw cron adds, shows, changes, runs and removes a job", async () => {
    const cron = async (gateway: string, ...args: readonly string[]): Promise<Record<string, unknown>> => {
      const called = await openclaw(gateway, "cron", ...args);
      expect({ exitCode: called.exitCode, stderr: called.stderr }).toMatchObject({ exitCode: 0 });
      return called.json() as Record<string, unknown>;
    };
    const what = ["--name", "tick", "--message", "the time has come", "--agent", "main"];
    const added = await cron("gateway-1", "add", "--every", "1h", ...what, "--no-deliver", "--json");
    expect(added).toMatchObject({
      name: "tick",
      schedule: { everyMs: 3_600_000 },
      delivery: { mode: "none" },
    });
    const id = String(added["id"]);
    const [listed, status] = await Promise.all([
      cron("gateway-2", "list", "--json"),
      cron("gateway-1", "status", "--json", "--url", String(urls["gateway-2"]), "--token", token),
    ]);
    expect(listed).toMatchObject({ jobs: [{ id, name: "tick", status: "idle" }], total: 1 });
    expect(status).toMatchObject({ enabled: true, jobs: 1 });
    // It falls due a second after the change, and runs.
    const edited = await cron("gateway-2", "edit", id, "--every", "1s");
    expect(edited).toMatchObject({ id, schedule: { everyMs: 1_000 } });
    const entry = await until(
      async () => ((await cron("gateway-1", "runs", id))["entries"] as readonly Record<string, unknown>[])[0],
      { what: "a run of the job", timeoutMs: 30_000 },
    );
    expect(entry).toMatchObject({
      status: "ok",
      summary: expect.stringContaining("the time has come") as unknown,
    });
    expect(await cron("gateway-2", "disable", id)).toMatchObject({ enabled: false });
    const forced = await cron("gateway-1", "run", id, "--wait", "--poll-interval", "200ms");
    expect(forced).toMatchObject({ ok: true, completed: true, status: "ok" });
    expect(await cron("gateway-2", "rm", id)).toEqual({ ok: true, removed: true });
  });

  it("openclaw agent sets a subagent to work, and its session is told of the end", async () => {
    const message =
      '[[demo tool=sessions_spawn{"task":"count to three","label":"counting"}]] [[demo text="On it."]]';
    const asked = await openclaw("gateway-1", "agent", "--agent", "main", "--message", message, "--json");
    expect(asked.json()).toMatchObject({ status: "ok", result: { payloads: [{ text: "On it." }] } });
    const announced = await until(
      async () => {
        const shown = await deployment.cli(["sessions", "show", "main", "--json"]);
        const { transcript } = shown.json() as { transcript: { role: string; text: string }[] };
        return transcript.find(({ text }) => text.startsWith("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"));
      },
      { what: "the announcement", pollMs: 200, timeoutMs: 30_000 },
    );
    expect(announced.text).toContain("task: counting\nstatus: completed; ready for parent review");
    expect(announced.text).toContain("You said: [Subagent Context]");
  });

  it("openclaw models list prints the models of the pool", async () => {
    const listed = await openclaw("gateway-2", "models", "list", "--json");
    expect({ exitCode: listed.exitCode, stderr: listed.stderr }).toMatchObject({ exitCode: 0 });
    expect(listed.json()).toMatchObject({
      count: 1,
      models: [{ key: "demo/demo", available: true, tags: ["default"] }],
    });
  });

  it("openclaw status finds the gateway reachable", async () => {
    const looked = await openclaw("gateway-1", "status", "--json");
    expect({ exitCode: looked.exitCode, stderr: looked.stderr }).toMatchObject({ exitCode: 0 });
    expect(looked.json()).toMatchObject({ gateway: { mode: "remote", reachable: true } });
  });

  it("is told that its token is wrong", async () => {
    const url = String(urls["shared"]);
    const called = await openclaw(
      "shared",
      ..."gateway call health --json --url".split(" "),
      url,
      "--token",
      "wrong",
    );
    expect(called.exitCode).not.toBe(0);
    expect(called.stdout + called.stderr).toMatch(/unauthorized|token/i);
  });
});
