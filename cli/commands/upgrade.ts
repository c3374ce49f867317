import { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { UpgradeReport } from "../upgrade/upgrade-deployment.ts";

export const upgradeCommand = (context: CliContext): Command =>
  new Command("upgrade")
    .description("bring every instance to another release or configuration, one at a time, under load")
    .option(
      "--to <dir>",
      "the checkout to run from, or `current`: the one that this command is of",
      "current",
    )
    .option("--plan", "only say what would be done")
    .addHelpText(
      "after",
      `
Each instance drains and starts anew, and the next one follows only when it is ready and stays so; clients are told to
reconnect and go on. One that does not get ready sends all of them back to what they ran from before, and the exit code
says so. openclaw.json is read as it stands now. Killed in the middle, the next \`openclaw-ha up\` or
\`openclaw-ha upgrade\` ends or undoes it. Ctrl-C stops waiting, not the upgrade.

Examples:
  git pull && openclaw-ha upgrade
  openclaw-ha upgrade --to /opt/openclaw-ha-0.2.0`,
    )
    .action(async (flags: { to: string; plan?: boolean }) => {
      const { upgradeDeployment } = await import("../upgrade/upgrade-deployment.ts");
      const report = await upgradeDeployment(context, flags.to, { planOnly: flags.plan === true });
      context.output.result(report, upgradeText);
    });

function upgradeText({ from, instances, to, tookMs, upgraded }: UpgradeReport): string {
  const what = `${from.version} (${from.root}) → ${to.version} (${to.root})`;
  return upgraded
    ? `upgraded: ${what}, ${instances.length} instances in ${(tookMs / 1_000).toFixed(1)} s`
    : `this would be done: ${what}\none after the other: ${instances.join(", ")}`;
}
