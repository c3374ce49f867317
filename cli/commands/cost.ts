import { Command, InvalidArgumentError } from "commander";
import type { CliContext } from "../context.ts";
import type { CostFlags } from "../cost/ask.ts";
import { parseInteger } from "../duration.ts";

export const costCommand = (context: CliContext): Command =>
  new Command("cost")
    .description("compare what V0, V1 and V2 cost, for your own prices and usage")
    .option("--users <n>", "people who have an agent", parseInteger(1))
    .option("--online-share <share>", "share of them connected at the busiest time, 0 to 1", parseShare)
    .option("--active-share <share>", "share of them with a run under way then", parseShare)
    .option("--runs-per-user-day <n>", "messages that a user sends on an average day", parseAmount)
    .option("--peak-to-average <n>", "runs at the busiest time of a day against its average", parseAmount)
    .option("--keep-months <n>", "how long what runs leave on disk is kept", parseAmount)
    .option("--cpu-utilization <share>", "share of a core that is used at the busiest time", parseUtilization)
    .option("--memory-gb-month <price>", "a gigabyte of memory for a month", parseAmount)
    .option("--cpu-month <price>", "a core for a month", parseAmount)
    .option("--disk-gb-month <price>", "a gigabyte of disk for a month", parseAmount)
    .option("--currency <name>", "how amounts are written")
    .option("--html <file>", "also write the comparison as a page with a chart")
    .option("--figures <file>", "figures of another machine (`npm run bench -- cost` writes them)")
    .addHelpText(
      "after",
      `
Numbers that no flag says come from \`cost\` of openclaw-ha.yaml, then from defaults, which are examples and not offers.
What one user, session and run takes was measured; the assumptions are printed with the result.

Examples:
  openclaw-ha cost --users 500 --memory-gb-month 4.2 --cpu-month 21
  openclaw-ha cost --html cost.html`,
    )
    .action(async (flags: CostFlags) => {
      const [{ askCost }, { costText }] = await Promise.all([
        import("../cost/ask.ts"),
        import("../cost/text.ts"),
      ]);
      context.output.result(await askCost(context, flags), costText);
    });

function parseAmount(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text.trim())) return Number(text);
  throw new InvalidArgumentError("Expected a number of at least 0.");
}

function parseShare(text: string): number {
  const share = parseAmount(text);
  if (share <= 1) return share;
  throw new InvalidArgumentError("Expected a share from 0 to 1.");
}

function parseUtilization(text: string): number {
  const share = parseShare(text);
  if (share >= 0.01) return share;
  throw new InvalidArgumentError("Expected a share from 0.01 to 1.");
}
