import { findAgent } from "../../core/catalog.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { modelInUse } from "../projection/catalog.ts";
import type { CommandRequest, SlashCommand } from "./command.ts";

/** Queued runs that are counted. */
const QUEUED_MAX = 100;

async function statusText({ call, sessionKey }: CommandRequest): Promise<string> {
  const { gateway, tenant } = call;
  const { catalog, clock, settings, sessions, ledger, startedAt } = gateway;
  const [session, queued] = await Promise.all([
    sessions.get(tenant, sessionKey),
    ledger.list(tenant, { sessionKey, status: ["queued"], limit: QUEUED_MAX }),
  ]);
  const agent = findAgent(catalog, agentOfSessionKey(sessionKey));
  const { provider, model, spec } = modelInUse(catalog, agent, session);
  const now = clock.now();
  const waiting = queued.length === QUEUED_MAX ? `${QUEUED_MAX} or more` : String(queued.length);
  return [
    `🦞 OpenClaw HA ${settings.version} · ${settings.instance}`,
    `⏱️ Uptime: gateway ${duration(clock.monotonic() - startedAt)}`,
    "",
    `🧠 Model: ${provider}/${model}${session?.model == null ? "" : " (chosen for this session)"}`,
    `🧮 Tokens: ${session?.inputTokens ?? 0} in / ${session?.outputTokens ?? 0} out`,
    `📚 Context window: ${thousands(spec?.contextWindow ?? 0)}`,
    "",
    session === null
      ? `🧵 Session: ${sessionKey} • new`
      : `🧵 Session: ${sessionKey} • ${session.messageCount} messages • updated ${duration(now - session.updatedAt)} ago`,
    `📌 Runs: ${session?.activeRunId == null ? "none under way" : "one under way"} • ${waiting} queued`,
    `🎛️ Thinking: ${session?.thinkingLevel ?? agent?.thinkingLevel ?? "off"}`,
    `🪢 Queue: ${session?.queueMode ?? catalog.queueMode}`,
  ].join("\n");
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ${Math.floor((seconds % 3_600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d ${Math.floor((seconds % 86_400) / 3_600)}h`;
}

const thousands = (tokens: number): string =>
  tokens < 1_000 ? String(tokens) : `${Math.round(tokens / 1_000)}k`;

const CATEGORIES = { session: "Session", options: "Options", status: "Status" } as const;

/** Each group on its line: what a person can type here. */
function helpText(commands: readonly SlashCommand[]): string {
  const groups = Object.entries(CATEGORIES).flatMap(([category, title]) => {
    const words = commands
      .filter((command) => command.category === category)
      .map(({ name, args }) => `/${name}${args?.[0] === undefined ? "" : ` <${args[0].name}>`}`);
    return words.length === 0 ? [] : ["", title, `  ${words.join("  |  ")}`];
  });
  return ["ℹ️ Help", ...groups, "", "More: /commands for the full list"].join("\n");
}

function listText(commands: readonly SlashCommand[]): string {
  const groups = Object.entries(CATEGORIES).flatMap(([category, title]) => {
    const lines = commands
      .filter((command) => command.category === category)
      .map(({ name, aliases = [], description }) => {
        const others = aliases.length === 0 ? "" : ` (${aliases.map((alias) => `/${alias}`).join(", ")})`;
        return `  /${name}${others} - ${description}`;
      });
    return lines.length === 0 ? [] : ["", title, ...lines];
  });
  return ["ℹ️ Slash commands", ...groups].join("\n");
}

/** Commands that only tell. */
export const statusCommands: readonly SlashCommand[] = [
  {
    name: "help",
    description: "Show available commands.",
    category: "status",
    run: async ({ call }) => ({ text: helpText(call.gateway.commands.list) }),
  },
  {
    name: "commands",
    description: "List all slash commands.",
    category: "status",
    run: async ({ call }) => ({ text: listText(call.gateway.commands.list) }),
  },
  {
    name: "status",
    description: "Show current status.",
    category: "status",
    args: [], // as in OpenClaw, words behind it are taken and mean nothing
    run: async (request) => ({ text: await statusText(request) }),
  },
];
