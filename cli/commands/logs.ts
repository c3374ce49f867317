import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { parseLimit } from "../duration.ts";

export const logsCommand = (context: CliContext): Command =>
  new Command("logs")
    .description("print the logs of instances, stores and the supervisor, merged by time")
    .argument("[pool|instance]", "gateway, worker-1, postgres, redis, supervisor… (default: all)")
    .option("--follow", "go on printing what is added, until Ctrl-C")
    .option("--lines <n>", "how many lines from the end, or all", parseLimit, 200)
    .action(async (target: string | undefined, flags: { follow?: boolean; lines: number }) => {
      const { printLogs } = await import("../print-logs.ts");
      await printLogs(context, { target: target ?? null, follow: flags.follow === true, lines: flags.lines });
    });
