import { Argument, Command, Option } from "commander";
import type { CliContext } from "../context.ts";

interface Flags {
  readonly preset?: string;
  readonly force?: boolean;
}

/** Presets by what they are for: `templates/presets`, each with the topology of which it is the usual one. */
export const PRESETS = {
  solo: { topology: "v0", usual: true },
  team: { topology: "v1", usual: true },
  ha: { topology: "v2", usual: true },
  "ha-external": { topology: "v2", usual: false },
} as const;

export const initCommand = (context: CliContext): Command =>
  new Command("init")
    .description("write a commented openclaw-ha.yaml to begin with")
    .addArgument(new Argument("[topology]", "what for (default: v2)").choices(["v0", "v1", "v2"]))
    .addOption(
      new Option("--preset <name>", "instead of the topology's usual one").choices(Object.keys(PRESETS)),
    )
    .option("--force", "replace a file that is there")
    .addHelpText(
      "after",
      `
Presets: solo (v0, one person on OpenClaw's own state directory), team (v1, a process per user), ha (v2, pools over
stores of this machine), ha-external (v2, pools over stores of your own). The file is ./openclaw-ha.yaml, or that of
--config. templates/config explains every key.

Examples:
  openclaw-ha init && openclaw-ha up --plan
  openclaw-ha --config prod.yaml init --preset ha-external`,
    )
    .action(async (topology: string | undefined, flags: Flags) => {
      const { writeDeploymentFile } = await import("../init/write-deployment-file.ts");
      context.output.result(
        await writeDeploymentFile(context, { topology, preset: flags.preset, force: flags.force === true }),
        ({ file, preset, replaced }) =>
          `${replaced ? "replaced" : "wrote"} ${file} (preset ${preset})\nnext: look through it, then ${context.program} up --plan`,
      );
    });
