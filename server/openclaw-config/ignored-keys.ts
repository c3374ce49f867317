import type { KeyPath } from "./json5-positions.ts";
import { isRecord } from "./read-document.ts";

/** `true`: used as a whole; an object: used key by key, where `*` is every other key and every list element. */
type Used = true | { readonly [key: string]: Used };

const AGENT: Used = {
  id: true,
  name: true,
  default: true,
  workspace: true,
  model: true,
  thinkingDefault: true,
  subagents: { allowAgents: true },
  identity: { name: true, theme: true, emoji: true },
};

/** What the pool acts on. */
const USED: Used = {
  gateway: {
    mode: true,
    auth: { mode: true, token: true, password: true },
    controlUi: { allowedOrigins: true },
  },
  agents: {
    ownership: true,
    list: { "*": AGENT },
    entries: { "*": AGENT },
    defaults: {
      model: true,
      models: { "*": { alias: true } },
      workspace: true,
      thinkingDefault: true,
      timeoutSeconds: true,
      maxConcurrent: true,
      subagents: { maxConcurrent: true, maxSpawnDepth: true, maxChildrenPerAgent: true, allowAgents: true },
      systemAgent: true,
      compaction: { enabled: true, keepRecentTokens: true, model: true, thinkingLevel: true },
    },
  },
  models: {
    mode: true,
    providers: {
      "*": {
        baseUrl: true,
        api: true,
        apiKey: true,
        headers: true,
        maxTokens: true,
        contextWindow: true,
        models: {
          "*": {
            id: true,
            name: true,
            api: true,
            reasoning: true,
            input: true,
            cost: true,
            contextWindow: true,
            contextTokens: true,
            maxTokens: true,
            headers: true,
            compat: true,
          },
        },
      },
    },
  },
  messages: { queue: { mode: true, cap: true, drop: true, byChannel: { webchat: true } } },
  session: { mainKey: true },
  cron: { enabled: true, maxConcurrentRuns: true },
  env: { vars: true },
  // OpenClaw's notes to itself: nothing follows from them.
  meta: true,
  wizard: true,
  $schema: true,
};

/**
 * The keys of a configuration that mean something to OpenClaw and nothing here, as the shortest paths that cover them.
 * A section that only switches something off is left out: ignoring it changes nothing.
 */
export function ignoredKeys(config: unknown): KeyPath[] {
  const found: KeyPath[] = [];
  const walk = (node: unknown, used: Used, path: KeyPath): void => {
    if (used === true) return;
    const members: readonly (readonly [string | number, unknown])[] = Array.isArray(node)
      ? node.map((item, index) => [index, item] as const)
      : isRecord(node)
        ? Object.entries(node)
        : [];
    for (const [key, value] of members) {
      const below = used[key] ?? used["*"];
      if (below !== undefined) walk(value, below, [...path, key]);
      else if (!switchesOff(value)) found.push([...path, key]);
    }
  };
  walk(config, USED, []);
  return found;
}

/** `{ enabled: false }`, `{ mdns: { mode: "off" } }`, `{}`, `false`: the absence of a feature. */
function switchesOff(value: unknown): boolean {
  if (value === false || value === null || value === "off" || value === "none" || value === "0m") return true;
  if (Array.isArray(value)) return value.length === 0;
  if (!isRecord(value)) return false;
  if (value["enabled"] === false) return true;
  return Object.values(value).every(switchesOff);
}
