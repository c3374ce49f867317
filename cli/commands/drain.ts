import { Command } from "commander";
import type { CliContext } from "../context.ts";

/** What `drain --json` prints. */
interface DrainReport {
  readonly instance: string;
  readonly state: string;
  readonly tookMs: number;
}

export const drainCommand = (context: CliContext): Command =>
  new Command("drain")
    .description("end one instance in order: it takes no more work and hands over what it has")
    .argument("<instance>", "as `openclaw-ha status` prints it: worker-2")
    .addHelpText(
      "after",
      `
Sessions go on elsewhere, clients of a gateway are told to reconnect. It stays away until the next \`openclaw-ha up\` or
\`openclaw-ha scale\`. Ctrl-C stops waiting, not the drain.

Example: openclaw-ha drain worker-2`,
    )
    .action(async (instance: string) => {
      const { drainInstance } = await import("../scale/drain-instance.ts");
      const report: DrainReport = await drainInstance(context, instance);
      context.output.result(report, ({ tookMs }) => `${instance} is drained, after ${tookMs} ms`);
    });
