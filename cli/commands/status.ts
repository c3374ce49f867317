import { Command } from "commander";
import type { CliContext } from "../context.ts";

export const statusCommand = (context: CliContext): Command =>
  new Command("status")
    .description("instances, stores, tenants and queue of a deployment; also when it is down")
    .option("--watch", "go on showing it until Ctrl-C")
    .action(async (flags: { watch?: boolean }) => {
      const [{ currentView }, { statusText }] = await Promise.all([
        import("../supervisor.ts"),
        import("../status-text.ts"),
      ]);
      if (flags.watch === true) {
        const { watch } = await import("../tui/watch.ts");
        return watch(context, () => currentView(context));
      }
      context.output.result(await currentView(context), (view) => statusText(view, context.clock.now()));
    });
