import { Command } from "commander";
import type { CliContext } from "../context.ts";

interface Flags {
  readonly purge?: boolean;
  readonly yes?: boolean;
}

export const downCommand = (context: CliContext): Command =>
  new Command("down")
    .description("stop everything and keep the data")
    .option("--purge", "delete the data directory as well: sessions, runs, transcripts, everything")
    .option("--yes", "do not ask")
    .action(async (flags: Flags) => {
      const { bringDown } = await import("../bring-down.ts");
      await bringDown(context, { purge: flags.purge === true, yes: flags.yes === true });
    });
