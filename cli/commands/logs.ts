import { Command, Option } from "commander";
import type { CliContext } from "../context.ts";
import { parseLimit } from "../duration.ts";
import { LOG_LEVELS, type LogLineLevel } from "../logs/log-line.ts";
import { momentOf, parseSince, type Since } from "../since.ts";

interface Flags {
  readonly tenant?: string;
  readonly session?: string;
  readonly run?: string;
  readonly level?: LogLineLevel;
  readonly since?: Since;
  readonly tail?: number;
  readonly lines?: number;
  readonly follow?: boolean;
}

/** Lines that are shown where nobody says how many. */
const LINES = 200;

export const logsCommand = (context: CliContext): Command =>
  new Command("logs")
    .description("print the logs of instances, stores and the supervisor, merged by time")
    .argument("[pool|instance]", "gateway, worker-1, postgres, redis, supervisor… (default: all)")
    .option("--follow", "go on printing what is added, until Ctrl-C")
    .option(
      "--tail <n>",
      `how many lines from the end, or all (default: ${LINES}, all with --since)`,
      parseLimit,
    )
    .addOption(new Option("--lines <n>", "the same as --tail").argParser(parseLimit).hideHelp())
    .option("--since <time>", "only lines since then: 10m, 2h, 2026-11-25T10:00:00Z", parseSince)
    .addOption(new Option("--level <level>", "only lines as bad as this, or worse").choices(LOG_LEVELS))
    .option("--tenant <tenant>", "only lines about this tenant")
    .option("--session <key>", "only lines about this session")
    .option("--run <run>", "only lines about this run")
    .addHelpText(
      "after",
      `
Examples:
  openclaw-ha logs --level warn --since 1h
  openclaw-ha logs worker --run RUN --tail all
  openclaw-ha logs --follow gateway-1`,
    )
    .action(async (target: string | undefined, flags: Flags) => {
      const { printLogs } = await import("../logs/print-logs.ts");
      const { follow, level, run, since, tenant } = flags;
      const session = flags.session === undefined ? undefined : await sessionKey(context, flags.session);
      const filter = {
        ...(tenant === undefined ? {} : { tenant }),
        ...(session === undefined ? {} : { session }),
        ...(run === undefined ? {} : { run }),
        ...(level === undefined ? {} : { level }),
        ...(since === undefined ? {} : { since: momentOf(since, context.clock.now()) }),
      };
      const lines = flags.tail ?? flags.lines ?? (since === undefined ? LINES : Infinity);
      await printLogs(context, { target: target ?? null, filter, follow: follow === true, lines });
    });

/** Logs name sessions in full; where nothing but logs is left, a short name is the default agent's. */
async function sessionKey(context: CliContext, typed: string): Promise<string> {
  const { typedSessionKey } = await import("../ports.ts");
  return typedSessionKey(context, typed).catch(() => `agent:main:${typed}`);
}
