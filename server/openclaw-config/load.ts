import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import type { AgentCatalog } from "../core/catalog.ts";
import type { ConfigView } from "../core/config-view.ts";
import type { LaneWidths } from "../core/lane.ts";
import { type CompactionPolicy, DEFAULT_COMPACTION } from "../core/compaction.ts";
import type { QueueMode } from "../core/queue-mode.ts";
import { readAgents } from "./agents.ts";
import { configView } from "./config-view.ts";
import { type Substituted, substituteReferences } from "./env-references.ts";
import { ignoredKeys } from "./ignored-keys.ts";
import { KNOWN_PROVIDERS } from "./known-providers.ts";
import { configuredModels, providerKey, secretValue } from "./models.ts";
import { type Problems, problemCollector } from "./problems.ts";
import { type ConfigDocument, isRecord, readConfigDocument } from "./read-document.ts";
import type { OpenClawConfig } from "./schema.ts";
import { validate } from "./validate.ts";

/**
 * Widths where the configuration names none. OpenClaw takes `max(8, 4 x cores)` for `main`, which protects the one
 * process that it is. Here worker slots protect processes; a width keeps tenants fair and must be the same in every
 * process of a pool, whatever machine it runs on. So `main` is what OpenClaw takes on a machine of 16 cores, and the
 * same as a worker's slots. `subagent` is OpenClaw's own default.
 */
export const DEFAULT_LANE_WIDTHS: LaneWidths = { main: 64, subagent: 8, cron: 8 };

/** OpenClaw's defaults for subagents. */
const DEFAULT_SPAWN_DEPTH = 5;
const DEFAULT_CHILDREN = 5;

/** OpenClaw's default for a turn of an agent: 48 hours. */
const DEFAULT_RUN_TIMEOUT_MS = 48 * 3_600_000;
/** `timeoutSeconds: 0` is no limit; timers end at 2^31 - 1 ms. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** What openclaw.json says, split so that secrets go their own way. */
export interface OpenClawSettings {
  readonly catalog: AgentCatalog;
  /** The document without its secrets, for clients. */
  readonly view: ConfigView;
  /** `gateway.auth`: the token of tenant `default`; null where the configuration names none. */
  readonly gatewayToken: string | null;
  /** `gateway.controlUi.allowedOrigins`: where browsers may come from beside the gateways' own addresses. */
  readonly allowedOrigins: readonly string[];
  /** Keys of model providers, by provider. */
  readonly providerKeys: ReadonlyMap<string, string>;
  /** Variables that the configuration takes its values from: those of a process that reads it must have them. */
  readonly environmentNames: readonly string[];
  /** To be told once, to whoever starts the deployment. */
  readonly warnings: readonly string[];
}

export interface OpenClawConfigSource {
  /** openclaw.json; null: one agent `main` on the demo model. */
  readonly path: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly demoModelUrl: string | null;
}

/**
 * Reads OpenClaw's own configuration: JSON5 with `$include` and `${NAME}`; variables come from the environment, then
 * from `.env` beside the file, then from its `env.vars`.
 * @throws HAError CONFIG_INVALID with every error in `details.problems`, each with file, line, column and key
 */
export function loadOpenClawConfig({
  path: file,
  env,
  demoModelUrl,
}: OpenClawConfigSource): OpenClawSettings {
  const document: ConfigDocument =
    file === null ? { value: {}, locations: new Map() } : readConfigDocument(path.resolve(file));
  const name = file ?? "openclaw.json";
  const problems = problemCollector(name, document.locations);
  const lookup = variables(document.value, file, env);
  const substituted = substituteReferences(document.value, lookup);
  const config = validate(substituted.value, problems);
  const configured = configuredModels(config.models?.providers ?? {}, problems);
  const { agents, defaultAgentId, models, compactionModel } = readAgents(
    config,
    configured,
    demoModelUrl,
    problems,
  );
  const usedProviders = new Set(
    [
      ...agents.flatMap((agent) => [agent.model, ...agent.fallbacks]),
      ...(compactionModel === null ? [] : [compactionModel]),
    ].map((m) => m.split("/")[0] ?? ""),
  );
  tellUnresolved(substituted, usedProviders, problems);
  const gatewayToken = readToken(config, lookup, problems);
  problems.throwIfAny();

  const ignored = ignoredKeys(document.value).map((key) => key.join("."));
  if (ignored.length > 0) problems.warn([], `not used by openclaw-ha: ${ignored.join(", ")}`);
  const providerKeys = new Map<string, string>();
  for (const provider of new Set(models.map((model) => model.provider))) {
    const key = providerKey(provider, config.models?.providers?.[provider], lookup);
    if (key !== undefined) providerKeys.set(provider, key);
    else if ((KNOWN_PROVIDERS[provider]?.keyNames.length ?? 0) > 0 && usedProviders.has(provider)) {
      problems.warn(
        ["models", "providers", provider],
        `no key is known: set ${KNOWN_PROVIDERS[provider]?.keyNames[0]}`,
      );
    }
  }
  const defaults = config.agents?.defaults;
  return {
    catalog: {
      defaultAgentId,
      mainKey: config.session?.mainKey?.trim().toLowerCase() || "main",
      agents,
      models,
      laneWidths: {
        main: defaults?.maxConcurrent ?? DEFAULT_LANE_WIDTHS.main,
        subagent: defaults?.subagents?.maxConcurrent ?? DEFAULT_LANE_WIDTHS.subagent,
        cron: config.cron?.maxConcurrentRuns ?? DEFAULT_LANE_WIDTHS.cron,
      },
      queueMode: queueMode(config, problems),
      queueCap: queueCap(config, problems),
      compaction: compactionPolicy(config, compactionModel),
      runTimeoutMs: runTimeoutMs(defaults?.timeoutSeconds),
      subagents: {
        maxSpawnDepth: defaults?.subagents?.maxSpawnDepth ?? DEFAULT_SPAWN_DEPTH,
        maxChildren: defaults?.subagents?.maxChildrenPerAgent ?? DEFAULT_CHILDREN,
      },
      cronEnabled: config.cron?.enabled ?? true,
    },
    view: configView(file, document.value, [...providerKeys.values(), gatewayToken ?? ""]),
    gatewayToken,
    allowedOrigins: config.gateway?.controlUi?.allowedOrigins ?? [],
    providerKeys,
    environmentNames: environmentNames(substituted, config, usedProviders),
    warnings: problems.warnings,
  };
}

function variables(
  config: Readonly<Record<string, unknown>>,
  file: string | null,
  env: OpenClawConfigSource["env"],
): (name: string) => string | undefined {
  const beside = file === null ? "" : path.join(path.dirname(path.resolve(file)), ".env");
  const dotenv = beside !== "" && existsSync(beside) ? parseEnv(readFileSync(beside, "utf8")) : {};
  const section = isRecord(config["env"]) ? config["env"] : {};
  const inline = isRecord(section["vars"]) ? section["vars"] : {};
  return (name) => {
    const written = inline[name];
    return env[name] || dotenv[name] || (typeof written === "string" ? written : undefined);
  };
}

/** A variable that is missing is an error where the pool needs the value, else a warning. */
function tellUnresolved(
  { unresolved }: Substituted,
  usedProviders: ReadonlySet<string>,
  problems: Problems,
): void {
  for (const { path: key, name } of unresolved) {
    const needed =
      (key[0] === "gateway" && key[1] === "auth") ||
      key[0] === "agents" ||
      (key[0] === "models" && usedProviders.has(String(key[2])));
    if (needed) problems.error(key, `environment variable ${name} is not set`);
    else if (key[0] === "models") problems.warn(key, `environment variable ${name} is not set`);
  }
}

function readToken(
  config: OpenClawConfig,
  lookup: (name: string) => string | undefined,
  problems: Problems,
): string | null {
  const { mode, token, password } = config.gateway?.auth ?? {};
  const at = ["gateway", "auth"];
  if (mode === "none" || mode === "trusted-proxy") {
    problems.warn(
      [...at, "mode"],
      `${JSON.stringify(mode)} is not supported: clients need the token of \`openclaw-ha env\``,
    );
    return null;
  }
  if (mode === undefined && token !== undefined && password !== undefined) {
    problems.error(at, "token and password are both given: set mode to one of them");
  }
  const field = mode === "password" || (mode === undefined && token === undefined) ? "password" : "token";
  const secret = field === "password" ? password : token;
  if (secret === undefined) return null;
  const value = secretValue(secret, lookup);
  if (value === undefined && typeof secret !== "string") {
    problems.error(
      [...at, field],
      `the secret cannot be read from its ${secret.source} source (${secret.id}); env is supported`,
    );
  }
  return value ?? null;
}

/** Names that OpenClaw takes, and that older configurations use. */
const QUEUE_MODES: Readonly<Record<string, QueueMode>> = {
  steer: "steer",
  steering: "steer",
  followup: "followup",
  followups: "followup",
  "follow-ups": "followup",
  collect: "collect",
  coalesce: "collect",
  interrupt: "interrupt",
  interrupts: "interrupt",
  abort: "interrupt",
  queue: "steer",
  "steer-backlog": "steer",
  "steer+backlog": "steer",
};

function queueMode(config: OpenClawConfig, problems: Problems): QueueMode {
  const { byChannel, mode } = config.messages?.queue ?? {};
  // Clients of a gateway are OpenClaw's channel `webchat`, whose own mode comes first.
  const places = [
    { at: ["byChannel", "webchat"], written: byChannel?.webchat },
    { at: ["mode"], written: mode },
  ];
  for (const { at, written } of places) {
    if (written === undefined) continue;
    const known = QUEUE_MODES[written.trim().toLowerCase()];
    if (known !== undefined) return known;
    problems.warn(
      ["messages", "queue", ...at],
      `${JSON.stringify(written)} is not known; ${[...new Set(Object.values(QUEUE_MODES))].join(", ")} are`,
    );
  }
  return "steer";
}

/** OpenClaw's default. */
const QUEUE_CAP = 20;

/**
 * How many messages may wait where the configuration says that the newest is refused then. Those that have been
 * acknowledged are never dropped, as the other two ways of OpenClaw do.
 */
function queueCap(config: OpenClawConfig, problems: Problems): number | null {
  const { cap, drop } = config.messages?.queue ?? {};
  if (drop === "new") return cap !== undefined && cap >= 1 ? Math.floor(cap) : QUEUE_CAP;
  if (cap !== undefined || drop !== undefined) {
    problems.warn(
      ["messages", "queue", cap === undefined ? "drop" : "cap"],
      'it counts with drop: "new" alone: no message that was acknowledged is dropped for a newer one',
    );
  }
  return null;
}

function compactionPolicy(config: OpenClawConfig, model: string | null): CompactionPolicy {
  const { enabled, keepRecentTokens, thinkingLevel } = config.agents?.defaults?.compaction ?? {};
  const level = thinkingLevel?.trim().toLowerCase();
  return {
    isProactive: enabled ?? DEFAULT_COMPACTION.isProactive,
    keepRecentTokens: keepRecentTokens ?? DEFAULT_COMPACTION.keepRecentTokens,
    model,
    thinkingLevel: level === undefined || level === "inherit" ? null : level,
  };
}

function runTimeoutMs(seconds: number | undefined): number {
  if (seconds === undefined) return DEFAULT_RUN_TIMEOUT_MS;
  return seconds === 0 ? MAX_TIMEOUT_MS : Math.min(Math.round(seconds * 1_000), MAX_TIMEOUT_MS);
}

function environmentNames(
  { names }: Substituted,
  config: OpenClawConfig,
  usedProviders: ReadonlySet<string>,
): string[] {
  const all = new Set(names);
  for (const entry of Object.values(config.models?.providers ?? {})) {
    const key = entry.apiKey;
    if (typeof key === "string" && /^[A-Z][A-Z0-9_]*$/.test(key)) all.add(key);
    if (typeof key === "object" && key.source === "env") all.add(key.id);
  }
  for (const provider of usedProviders)
    for (const name of KNOWN_PROVIDERS[provider]?.keyNames ?? []) all.add(name);
  return [...all].sort();
}
