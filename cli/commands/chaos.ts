import path from "node:path";
import { Command, Option } from "commander";
import type { ChaosSummary } from "../../chaos/summary.ts";
import type { CliContext } from "../context.ts";
import { parseDurationMs, parseInteger } from "../duration.ts";
import { textTable } from "../text-table.ts";

export interface ChaosRunFlags {
  readonly runs?: number;
  readonly seed?: number;
  readonly duration?: number;
  readonly keep?: boolean;
  readonly report?: string;
  readonly matrix?: "short" | "full";
  readonly target: "process" | "docker" | "attach";
}

export const chaosCommand = (context: CliContext): Command =>
  new Command("chaos")
    .description("break a deployment on purpose and judge whether every promise held")
    .addCommand(listCommand(context))
    .addCommand(runCommand(context))
    .addCommand(judgeCommand(context));

const listCommand = (context: CliContext): Command =>
  new Command("list")
    .description("every scenario: what is broken, and what must hold all the same")
    .addHelpText("after", "\nExamples:\n  openclaw-ha chaos list\n  openclaw-ha chaos list --json")
    .action(async () => {
      const { SCENARIOS } = await import("../../chaos/scenarios/index.ts");
      const rows = SCENARIOS.map(({ claim, durationMs, faults, name, needs, topology, validators }) => ({
        name,
        claim,
        faults: faults.map(({ atMs, fault }) => ({ atMs, ...fault })),
        topology,
        durationMs,
        promises: validators,
        needs,
      }));
      context.output.result(rows, (all) =>
        textTable(
          ["SCENARIO", "CLAIM"],
          all.map(({ claim, name }) => [name, claim]),
        ),
      );
    });

const runCommand = (context: CliContext): Command =>
  new Command("run")
    .description("run scenarios, each with traffic, faults on time, and a verdict")
    .argument("[scenario...]", "names from `chaos list`; all of them when none is given")
    .option(
      "--runs <n>",
      "runs of each scenario, with seeds counting up (default: 1)",
      parseInteger(1, 10_000),
    )
    .option(
      "--seed <n>",
      "the first seed: the same seed does the same (default: 1)",
      parseInteger(0, 2 ** 31),
    )
    .option(
      "--duration <time>",
      "how long clients send; faults keep their times, and must come within it",
      parseDurationMs,
    )
    .option("--keep", "when all was run, keep the deployment up until Ctrl-C")
    .option("--report <dir>", "where histories, verdicts and report.html go")
    .addOption(
      new Option("--matrix <name>", "a set of scenarios instead of names").choices(["short", "full"]),
    )
    .addOption(
      new Option(
        "--target <kind>",
        "what is broken: processes of its own, containers, or --name's deployment",
      )
        .choices(["process", "docker", "attach"])
        .default("process"),
    )
    .addHelpText(
      "after",
      [
        "",
        "Exit code 1 when a promise was broken, or could not be proven.",
        "",
        "Examples:",
        "  openclaw-ha chaos run worker-killed",
        "  openclaw-ha chaos run redis-killed postgres-killed --runs 5 --seed 100",
        "  openclaw-ha chaos run --matrix short --report ./chaos",
        "  openclaw-ha --name dev chaos run gateway-killed --target attach",
      ].join("\n"),
    )
    .action(async (names: readonly string[], flags: ChaosRunFlags) => {
      const { runChaosCommand } = await import("../chaos/run-chaos.ts");
      conclude(context, await runChaosCommand(context, names, flags));
    });

const judgeCommand = (context: CliContext): Command =>
  new Command("judge")
    .description("judge a recorded history again")
    .argument("<dir>", "the folder of one run, or the one that `chaos run` reported")
    .addHelpText(
      "after",
      "\nExamples:\n  openclaw-ha chaos judge ./chaos\n  openclaw-ha chaos judge ./chaos/worker-killed-1",
    )
    .action(async (dir: string) => {
      const { judgeFolder } = await import("../../chaos/judge-folder.ts");
      conclude(context, await judgeFolder(path.resolve(context.cwd, dir)));
    });

function conclude(context: CliContext, summary: ChaosSummary): void {
  if (summary.verdict === "fail") context.setExitCode(1);
  context.output.result(summary, summaryText);
}

function summaryText({ promises, report, scenarios, seed, verdict }: ChaosSummary): string {
  const findings = scenarios.flatMap(({ findings: of, name, reason, seed: own }) =>
    [...(reason === null ? [] : [reason]), ...of.slice(0, 3)].map(
      (what) => `  ${name} (seed ${own}): ${what}`,
    ),
  );
  const broken = promises.filter((promise) => promise.verdict === "fail").map(({ name }) => name);
  const unproven = promises.filter((promise) => promise.verdict === "unproven").map(({ name }) => name);
  return [
    textTable(
      ["PROMISE", "VERDICT", "LOOKED AT", "BROKEN"],
      promises.map((one) => [one.name, one.verdict, String(one.checked), String(one.violations.length)]),
    ),
    "",
    ...findings,
    ...(findings.length > 0 ? [""] : []),
    `${verdict}: ${scenarios.filter((one) => one.verdict === "pass").length} of ${scenarios.length} runs passed (seed ${seed})`,
    ...(broken.length > 0 ? [`broken: ${broken.join(", ")}`] : []),
    ...(unproven.length > 0 ? [`not proven: ${unproven.join(", ")}`] : []),
    `report: ${report}`,
  ].join("\n");
}
