import { Command } from "commander";
import { HAError } from "../../server/core/errors.ts";
import { agentId, tenantId } from "../../server/core/ids.ts";
import type { SessionRecord } from "../../server/core/session.ts";
import type { CliContext } from "../context.ts";
import { parseInteger, parseLimit } from "../duration.ts";
import { typedSessionKey, withPorts } from "../ports.ts";
import { isoTime } from "../runs/run-rows.ts";
import { momentOf, parseSince, type Since } from "../since.ts";
import { clip, textFields, textTable } from "../text-table.ts";
import type { ShownMessage } from "../sessions/read-history.ts";

interface ListFlags {
  readonly tenant: string;
  readonly agent?: string;
  readonly search?: string;
  readonly since?: Since;
  readonly archived?: boolean;
  readonly limit: number;
  readonly before?: string;
}

const PAGE = 500;

/** One session as `sessions list --json` prints it: names are a contract. */
const sessionRow = (session: SessionRecord) => ({
  key: session.key,
  sessionId: session.sessionId,
  agentId: session.agentId,
  updatedAt: isoTime(session.updatedAt),
  messages: session.messageCount,
  ...(session.label === null ? {} : { label: session.label }),
});
type SessionRow = ReturnType<typeof sessionRow>;

export const sessionsCommand = (context: CliContext): Command =>
  new Command("sessions")
    .description("list sessions, or show one with its messages")
    .addCommand(listCommand(context))
    .addCommand(showCommand(context));

const listCommand = (context: CliContext): Command =>
  new Command("list")
    .description("sessions, most recently updated first")
    .option("--tenant <tenant>", "whose sessions", "default")
    .option("--agent <id>", "only sessions of this agent")
    .option("--search <text>", "only sessions whose key, label or title holds it")
    .option("--since <time>", "only sessions updated since then: 10m, 2h, 2026-11-25T10:00:00Z", parseSince)
    .option("--archived", "only archived sessions")
    .option("--no-archived", "only sessions that are not archived")
    .option("--limit <n>", "how many, or all", parseLimit, 100)
    .option("--before <key>", "the next page: only sessions that follow this one in the list")
    .action((flags: ListFlags) =>
      withPorts(context, async ({ sessions }) => {
        const query = {
          ...(flags.agent === undefined ? {} : { agentId: agentId(flags.agent) }),
          ...(flags.search === undefined ? {} : { search: flags.search }),
          ...(flags.archived === undefined ? {} : { archived: flags.archived }),
          ...(flags.since === undefined ? {} : { activeWithinMs: agoMs(flags.since, context.clock.now()) }),
        };
        const rows: SessionRow[] = [];
        let before = flags.before === undefined ? undefined : await typedSessionKey(context, flags.before);
        if (before !== undefined && (await sessions.get(tenantId(flags.tenant), before)) === null) {
          throw unknownSession(before);
        }
        let more = false;
        for (let left = flags.limit; left > 0;) {
          const limit = Math.min(left, PAGE);
          const page = await sessions.list(tenantId(flags.tenant), {
            ...query,
            limit,
            ...(before ? { before } : {}),
          });
          rows.push(...page.sessions.map(sessionRow));
          left -= page.sessions.length;
          before = page.sessions.at(-1)?.key;
          more = page.sessions.length === limit;
          if (!more || context.signal.aborted) break;
        }
        context.output.result(rows, listText);
        if (more) context.output.progress(`for the next page: --before ${before}`);
      }),
    );

/** How long ago that is; a moment to come is none. */
const agoMs = (since: Since, now: number): number => Math.max(0, now - momentOf(since, now));

const unknownSession = (key: string): HAError =>
  new HAError("NOT_FOUND", `there is no session ${key}`, { key, hint: "openclaw-ha sessions list" });

const listText = (rows: readonly SessionRow[]): string =>
  rows.length === 0
    ? "no sessions"
    : textTable(
        ["KEY", "AGENT", "MESSAGES", "UPDATED", "LABEL"],
        rows.map((row) => [
          clip(row.key, 60),
          row.agentId,
          String(row.messages),
          row.updatedAt,
          clip(row.label ?? "", 40),
        ]),
      );

const showCommand = (context: CliContext): Command =>
  new Command("show")
    .description("a session and its newest messages, oldest first")
    .argument("<key>", "session key")
    .option("--tenant <tenant>", "whose session", "default")
    .option("--limit <n>", "how many messages", parseInteger(0), 20)
    .action((typed: string, flags: { tenant: string; limit: number }) =>
      withPorts(context, async (ports) => {
        const { readHistory } = await import("../sessions/read-history.ts");
        const tenant = tenantId(flags.tenant);
        const key = await typedSessionKey(context, typed);
        const session = await ports.sessions.get(tenant, key);
        if (session === null) throw unknownSession(key);
        const transcript = await readHistory(ports, session, flags.limit);
        context.output.result({ ...sessionDetails(session), transcript }, () =>
          showText(session, transcript),
        );
      }),
    );

const sessionDetails = (session: SessionRecord) => ({
  ...sessionRow(session),
  createdAt: isoTime(session.createdAt),
  createdVia: session.createdVia,
  lifecycleRevision: session.lifecycleRevision,
  model: session.model,
  thinkingLevel: session.thinkingLevel,
  queueMode: session.queueMode,
  archived: session.archived,
  pinned: session.pinned,
  inputTokens: session.inputTokens,
  outputTokens: session.outputTokens,
  activeRunId: session.activeRunId,
  lastRunId: session.lastRunId,
});

function showText(session: SessionRecord, transcript: readonly ShownMessage[]): string {
  const fields = textFields({
    session: session.key,
    id: session.sessionId,
    label: session.label,
    agent: session.agentId,
    model: session.model,
    created: isoTime(session.createdAt),
    updated: isoTime(session.updatedAt),
    messages: session.messageCount,
    "active run": session.activeRunId,
  });
  const messages = transcript.map(({ role, at, text }) => `[${at}] ${role}\n${text}`);
  return [fields, ...messages].join("\n\n");
}
