import { fileURLToPath } from "node:url";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { DEFAULT_COMPACTION } from "../core/compaction.ts";
import { isHAError } from "../core/errors.ts";
import { configSecretVault } from "../adapters/memory/config-vault.ts";
import { tenantId } from "../core/ids.ts";
import { DEFAULT_LANE_WIDTHS, loadOpenClawConfig, type OpenClawConfigSource } from "./load.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const demoModelUrl = "http://127.0.0.1:9/v1";

const load = (file: string | null, env: OpenClawConfigSource["env"] = {}) =>
  loadOpenClawConfig({ path: file, env, demoModelUrl });

/** A folder with the given files; the first one is the configuration. */
function written(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), "openclaw-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return path.join(folder, Object.keys(files)[0] ?? "");
}

const config = (document: object): string => written({ "openclaw.json": JSON.stringify(document) });

function problemsOf(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    if (isHAError(error, "CONFIG_INVALID")) return error.details["problems"] as string[];
    throw error;
  }
  throw new Error("expected an error");
}

describe("openclaw.json", () => {
  it("without a file gives one agent main on the demo model", () => {
    const { catalog, gatewayToken, providerKeys, warnings } = load(null);
    expect(catalog).toMatchObject({
      defaultAgentId: "main",
      mainKey: "main",
      agents: [{ id: "main", model: "demo/demo", fallbacks: [] }],
      models: [{ provider: "demo", id: "demo", api: "openai-completions", baseUrl: demoModelUrl }],
      laneWidths: DEFAULT_LANE_WIDTHS,
      subagents: { maxSpawnDepth: 5, maxChildren: 5 },
      cronEnabled: true,
      queueMode: "steer",
      runTimeoutMs: 48 * 3_600_000,
    });
    expect(gatewayToken).toBeNull();
    expect(providerKeys.size).toBe(0);
    expect(warnings).toEqual([]);
  });

  it("gives agents of a list their models, widths and queue mode, and keeps keys out of the catalog", async () => {
    const { catalog, gatewayToken, providerKeys, environmentNames } = load(fixture("list.json5"), {
      GATEWAY_TOKEN: "fake-token",
      MOCK_KEY: "fake-key",
    });
    expect(catalog).toMatchObject({
      defaultAgentId: "main",
      mainKey: "home",
      agents: [
        { id: "main", model: "mock/mock-1", fallbacks: ["mock/mock-2"], workspace: "/srv/node/workspace" },
        { id: "work", model: "mock/mock-2", fallbacks: [], subagentsAllowed: ["main", "*"] },
      ],
      laneWidths: { main: 12, subagent: 3, cron: 2 },
      subagents: { maxSpawnDepth: 2, maxChildren: 4 },
      cronEnabled: false,
      queueMode: "collect",
      runTimeoutMs: 600_000,
    });
    expect(catalog.agents[1]?.systemPrompt).toContain("Ada");
    expect(catalog.agents[1]?.systemPrompt).toContain("dry wit");
    expect(catalog.models[0]).toMatchObject({
      maxTokens: 4096,
      cost: { input: 0.25, output: 2, cacheRead: 0 },
    });
    expect(catalog.models[1]).toMatchObject({
      compat: { supportsTools: false },
      reasoning: true,
      input: ["text", "image"],
      contextWindow: 200_000,
    });
    expect(gatewayToken).toBe("fake-token");
    expect(environmentNames).toEqual(["GATEWAY_TOKEN", "MOCK_KEY"]);
    expect(JSON.stringify(catalog)).not.toContain("fake-key");
    const vault = configSecretVault(providerKeys);
    expect(await vault.credential(tenantId("default"), "mock")).toBe("fake-key");
    expect(await vault.credential(tenantId("default"), "other")).toBeNull();
  });

  it("names what OpenClaw would use and the pool does not, once, and leaves out what is switched off", () => {
    const { warnings } = load(fixture("list.json5"), { GATEWAY_TOKEN: "t", MOCK_KEY: "k" });
    expect(warnings).toHaveLength(2);
    expect(warnings).toContainEqual(
      expect.stringMatching(/not used by openclaw-ha: gateway\.port, session\.dmScope, tools$/),
    );
  });

  it.each<[object, number | null, RegExp | null]>([
    [{}, null, null],
    [{ cap: 5, drop: "new" }, 5, null],
    [{ drop: "new" }, 20, null],
    [{ cap: 0, drop: "new" }, 20, null],
    [{ cap: 5 }, null, /messages\.queue\.cap: it counts with drop: "new" alone/],
    [{ cap: 5, drop: "old" }, null, /messages\.queue\.cap: it counts/],
    [{ drop: "summarize" }, null, /messages\.queue\.drop: it counts/],
    [{ debounceMs: 500, drop: "new" }, 20, /not used by openclaw-ha: messages\.queue\.debounceMs$/],
  ])("lets messages.queue %j bound what waits in a session: %s", (queue, queueCap, warning) => {
    const { catalog, warnings } = load(config({ messages: { queue } }));
    expect(catalog.queueCap).toBe(queueCap);
    expect(warnings).toHaveLength(warning === null ? 0 : 1);
    expect(warnings.join()).toMatch(warning ?? /^$/);
  });

  it("takes agents.defaults.compaction, and refuses a model for it that there is not", () => {
    const models = [{ id: "big" }, { id: "small" }];
    const providers = { mock: { baseUrl: "http://127.0.0.1:1/v1", api: "openai-completions", models } };
    const policy = (compaction: object) =>
      load(config({ models: { providers }, agents: { defaults: { model: "mock/big", compaction } } }));
    expect(policy({}).catalog.compaction).toEqual(DEFAULT_COMPACTION);
    const settings = { enabled: false, keepRecentTokens: 5_000, model: "small", thinkingLevel: "Low" };
    expect(policy(settings).catalog.compaction).toEqual({
      isProactive: false,
      keepRecentTokens: 5_000,
      model: "mock/small",
      thinkingLevel: "low",
    });
    expect(policy({ thinkingLevel: "inherit" }).catalog.compaction.thinkingLevel).toBeNull();
    expect(policy({ mode: "safeguard" }).warnings).toContainEqual(
      expect.stringMatching(/not used by openclaw-ha: .*agents\.defaults\.compaction\.mode/),
    );
    expect(problemsOf(() => policy({ model: "mock/none" }))).toEqual([
      expect.stringMatching(/agents\.defaults\.compaction\.model: unknown model "mock\/none"/),
    ]);
  });

  it("takes agents from entries, models by alias, and providers that everybody knows", () => {
    const { catalog, gatewayToken, providerKeys } = load(fixture("entries.json"), {
      ANTHROPIC_API_KEY: "fake",
    });
    expect(catalog).toMatchObject({
      defaultAgentId: "work",
      agents: [{ model: "anthropic/claude-opus-4-6" }, { id: "work", name: "Agent work" }],
      models: [{ provider: "anthropic", id: "claude-opus-4-6", api: "anthropic-messages" }],
    });
    expect(gatewayToken).toBe("a-token-in-place");
    expect([...providerKeys]).toEqual([["anthropic", "fake"]]);
  });

  it("tells a missing provider key, without which the first run would fail", () => {
    expect(load(fixture("entries.json")).warnings).toEqual([
      expect.stringMatching(/no key is known: set ANTHROPIC_API_KEY$/),
    ]);
  });

  it("reports all errors at once, each with line, column and key", () => {
    const file = fixture("wrong.json5");
    expect(problemsOf(() => load(file))).toEqual([
      `${file}:11:34: models.providers.mock.baseUrl: expected a URL`,
      expect.stringMatching(/:4:17: agents\.defaults\.model: unknown model "mock\/none"/),
      expect.stringMatching(/:7:7: agents\.list\.1: "two words" is not an agent id/),
      expect.stringMatching(/:8:7: agents\.list\.2: agent "main" is defined twice$/),
      expect.stringMatching(/:2:22: gateway\.auth\.token: environment variable NOT_SET is not set$/),
    ]);
  });

  it("reports values of the wrong kind with their place", () => {
    const file = written({
      "openclaw.json": '{\n  agents: { defaults: { maxConcurrent: "four" } },\n  gateway: 1\n}',
    });
    expect(problemsOf(() => load(file))).toEqual([
      expect.stringMatching(/openclaw\.json:3:3: gateway: /),
      expect.stringMatching(/openclaw\.json:2:25: agents\.defaults\.maxConcurrent: /),
    ]);
  });

  it("reports what else is wrong beside a value of the wrong kind", () => {
    const file = written({
      "openclaw.json": `{
        agents: { defaults: { maxConcurrent: "four" }, list: [{ id: "main" }, { id: "two words" }] },
        gateway: { auth: { token: "\${NOT_SET}" } },
      }`,
    });
    expect(problemsOf(() => load(file))).toEqual([
      expect.stringMatching(/:2:\d+: agents\.defaults\.maxConcurrent: /),
      expect.stringMatching(/:2:\d+: agents\.list\.1: "two words" is not an agent id/),
      expect.stringMatching(/:3:\d+: gateway\.auth\.token: environment variable NOT_SET is not set$/),
    ]);
  });

  it("invents no errors behind one in a list or in the models", () => {
    const list = written({ "openclaw.json": '{ agents: { list: [7, { id: "main" }, {}] }, session: 3 }' });
    expect(problemsOf(() => load(list))).toEqual([
      expect.stringMatching(/agents\.list\.0: /),
      expect.stringMatching(/agents\.list\.2\.id: /),
      expect.stringMatching(/session: /),
    ]);
    const models = written({
      "openclaw.json": '{ models: { providers: { one: [] } }, agents: { defaults: { model: "one/two" } } }',
    });
    expect(problemsOf(() => load(models))).toEqual([expect.stringMatching(/models\.providers\.one: /)]);
  });

  it("reports text that is not JSON5 with its place", () => {
    const file = written({ "openclaw.json": '{\n  "a": 1,\n  "b" 2\n}' });
    expect(problemsOf(() => load(file))).toEqual([
      expect.stringMatching(/openclaw\.json:3:7: invalid character '2'/),
    ]);
  });

  it("says that a file is missing", () => {
    expect(problemsOf(() => load("/nowhere/openclaw.json"))).toEqual([
      "/nowhere/openclaw.json: there is no such file",
    ]);
  });

  it("merges included files below the keys beside them and finds errors in the right file", () => {
    const file = written({
      "openclaw.json": '{ agents: { $include: "./agents.json5", defaults: { maxConcurrent: 7 } } }',
      "agents.json5":
        '{ defaults: { maxConcurrent: 3, subagents: { maxConcurrent: 2 } },\n  entries: { a: {}, "b c": {} } }',
    });
    expect(problemsOf(() => load(file))).toEqual([
      expect.stringMatching(/agents\.json5:2:21: agents\.entries\.b c: "b c" is not an agent id/),
    ]);
    const fixed = written({
      "openclaw.json": '{ agents: { $include: "./agents.json5", defaults: { maxConcurrent: 7 } } }',
      "agents.json5":
        "{ defaults: { maxConcurrent: 3, subagents: { maxConcurrent: 2 } }, entries: { a: {} } }",
    });
    expect(load(fixed).catalog).toMatchObject({
      agents: [{ id: "a" }],
      laneWidths: { main: 7, subagent: 2 },
    });
  });

  it("refuses includes that go in a circle", () => {
    const file = written({
      "openclaw.json": '{ $include: "./b.json" }',
      "b.json": '{ $include: "./openclaw.json" }',
    });
    expect(problemsOf(() => load(file))).toEqual([expect.stringMatching(/in a circle$/)]);
  });

  it("takes variables from the environment, then from .env beside the file, then from env.vars", () => {
    const text =
      '{ env: { vars: { A: "inline", B: "inline", C: "inline" } }, gateway: { auth: { token: "${A}-${B}-${C}-$${A}" } } }';
    const file = written({ "openclaw.json": text, ".env": "A=dotenv\nB=dotenv\n" });
    expect(load(file, { A: "process" }).gatewayToken).toBe("process-dotenv-inline-${A}");
  });

  it("names the origins that browsers may come from", () => {
    const text = '{ gateway: { controlUi: { allowedOrigins: ["https://claw.example"], basePath: "/x" } } }';
    const { allowedOrigins, warnings } = load(written({ "openclaw.json": text }));
    expect(allowedOrigins).toEqual(["https://claw.example"]);
    expect(warnings.join()).toContain("gateway.controlUi.basePath");
    expect(load(null).allowedOrigins).toEqual([]);
  });

  it("warns only about a missing variable of a provider that no agent uses", () => {
    const file = written({
      "openclaw.json": `{
        agents: { defaults: { model: "used/m" } },
        models: { providers: {
          used: { baseUrl: "http://127.0.0.1:1/v1", models: [{ id: "m" }] },
          spare: { baseUrl: "http://127.0.0.1:2/v1", apiKey: "\${SPARE_KEY}", models: [{ id: "m" }] },
        } },
      }`,
    });
    expect(load(file).warnings).toEqual([
      expect.stringMatching(
        /:5:\d+: models\.providers\.spare\.apiKey: environment variable SPARE_KEY is not set$/,
      ),
    ]);
  });

  it("reads secret references to the environment and refuses those it cannot read", () => {
    const auth = (source: string): string =>
      written({
        "openclaw.json": `{ gateway: { auth: { token: { source: "${source}", provider: "default", id: "TOKEN" } } } }`,
      });
    expect(load(auth("env"), { TOKEN: "fake" }).gatewayToken).toBe("fake");
    expect(problemsOf(() => load(auth("exec")))).toEqual([
      expect.stringMatching(/gateway\.auth\.token: the secret cannot be read from its exec source/),
    ]);
  });

  it.each([
    ["{ mode: 'collect', byChannel: { webchat: 'Abort', slack: 'steer' } }", "interrupt"],
    ["{ mode: 'follow-ups', byChannel: { slack: 'collect' } }", "followup"],
    ["{ mode: 'coalesce', byChannel: { webchat: 'later' } }", "collect"],
  ])("takes the queue mode of its clients' channel, else that of all: %s", (queue, mode) => {
    const file = written({ "openclaw.json": `{ messages: { queue: ${queue} } }` });
    expect(load(file).catalog.queueMode).toBe(mode);
  });

  it("warns about a queue mode that it does not know and takes the default", () => {
    const file = written({ "openclaw.json": '{ messages: { queue: { mode: "later" } } }' });
    const { catalog, warnings } = load(file);
    expect(catalog.queueMode).toBe("steer");
    expect(warnings).toEqual([expect.stringMatching(/messages\.queue\.mode: "later" is not known/)]);
  });
});
