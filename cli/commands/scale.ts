import { Command, Option } from "commander";
import type { CliContext } from "../context.ts";
import { parseDurationMs, parseInteger } from "../duration.ts";
import type { ScaleFlags } from "../scale/scale-request.ts";

interface Flags extends Omit<ScaleFlags, "auto" | "min" | "max"> {
  readonly auto?: "on" | "off";
  readonly min?: readonly string[];
  readonly max?: readonly string[];
  readonly plan?: boolean;
}

export const scaleCommand = (context: CliContext): Command =>
  new Command("scale")
    .description("change the sizes of the pools while they run, or let the load decide them")
    .argument("[pool=n...]", "gateway=N, worker=N")
    .addOption(new Option("--auto <on|off>", "let the load decide the sizes").choices(["on", "off"]))
    .option("--min <pool=n,…>", "automatic: never fewer (default: 2)", collect)
    .option("--max <pool=n,…>", "automatic: never more (default: 8)", collect)
    .option("--grow-after <duration>", "load has to be high for so long (default: 2s)", parseDurationMs)
    .option("--cooldown <duration>", "between two growths (default: 5s)", parseDurationMs)
    .option("--shrink-after <duration>", "load has to be low for so long (default: 60s)", parseDurationMs)
    .option(
      "--queue-delay <duration>",
      "how long a message may wait for a worker (default: 1s)",
      parseDurationMs,
    )
    .option("--connections <n>", "clients that a gateway is meant for (default: 2000)", parseInteger(1))
    .option("--plan", "only say what would change")
    .addHelpText(
      "after",
      `
Instances that are too much drain first: they take no more work, finish or hand over what they have, and end. The sizes
stay over restarts, also those that the load decided. Without arguments nothing changes and the sizes are shown.

Examples:
  openclaw-ha scale worker=6
  openclaw-ha scale --auto on --min worker=2 --max worker=12,gateway=4
  openclaw-ha scale gateway=2 worker=2 --auto off --plan`,
    )
    .action(async (words: readonly string[], flags: Flags) => {
      const [{ poolNumbers, scaleRequest }, { scaleDeployment }, { scaleText }] = await Promise.all([
        import("../scale/scale-request.ts"),
        import("../scale/scale-deployment.ts"),
        import("../scale/scaling-text.ts"),
      ]);
      const { auto, max, min, plan, ...rest } = flags;
      const request = scaleRequest(words, {
        ...rest,
        ...(auto === undefined ? {} : { auto: auto === "on" }),
        ...(min === undefined ? {} : { min: poolNumbers(min, 1) }),
        ...(max === undefined ? {} : { max: poolNumbers(max, 1) }),
      });
      const planOnly = plan === true || request === null;
      const report = await scaleDeployment(context, request ?? {}, { planOnly });
      context.output.result(report, (done) => scaleText(done, context.clock.now()));
    });

/** An option that may be repeated. */
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
