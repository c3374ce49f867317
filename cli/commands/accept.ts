import { Command, Option } from "commander";
import type { Acceptance, CriterionName } from "../accept/run-accept.ts";
import type { CliContext } from "../context.ts";
import { parseInteger } from "../duration.ts";
import { textTable } from "../text-table.ts";

interface Flags {
  readonly quick?: boolean;
  readonly only?: readonly CriterionName[];
  readonly seed?: number;
  readonly report?: string;
  readonly install?: boolean;
}

/** As run-accept.ts names them; written out here so that help loads nothing. */
const NAMES: readonly CriterionName[] = ["availability", "cross-talk", "burst", "kills"];

export const acceptCommand = (context: CliContext): Command =>
  new Command("accept")
    .description("try the acceptance criteria on a deployment of its own, and print one verdict")
    .option("--quick", "less of everything: for continuous integration")
    .addOption(new Option("--only <criterion...>", "some of the criteria").choices(NAMES))
    .option("--seed <n>", "the same seed does the same (default: 1)", parseInteger(0, 2 ** 31))
    .option("--report <dir>", "where histories, results and acceptance.html go")
    .option("--install", "build k6 into the cache of this checkout if it is missing (needs Go)")
    .addHelpText("after", HELP)
    .action(async (flags: Flags) => {
      const { runAccept } = await import("../accept/run-accept.ts");
      const acceptance = await runAccept(context, flags);
      if (acceptance.verdict === "fail") context.setExitCode(1);
      context.output.result(acceptance, acceptanceText);
    });

const HELP = `
Criteria:
  availability  API 99.9 %: steady load while one gateway and one worker die every minute
  cross-talk    1,000 sessions of 20 tenants with canaries, with kills: no foreign byte anywhere
  burst         load x10 in 5 s with automatic sizes: no unplanned error, quiet tenants keep their wait
  kills         each kind of process is killed: every acknowledged run ends once, with its text

Everything runs on this machine, on deployments that are brought up for it and taken down again; no other one is
touched. Some minutes with --quick, several times that without. Exit code 1 when a criterion was missed, or could not be shown.

Examples:
  openclaw-ha accept --quick
  openclaw-ha accept --only kills --report ./evidence
  openclaw-ha accept --json > verdict.json`;

function acceptanceText({ criteria, report, verdict }: Acceptance): string {
  const figures = (measured: Acceptance["criteria"][number]["measured"]): string[] =>
    Object.entries(measured).map(([name, value]) => `    ${name}: ${value ?? "–"}`);
  return [
    textTable(
      ["CRITERION", "VERDICT", "WHAT WAS DONE"],
      criteria.map(({ done, name, verdict: own }) => [name, own, done]),
    ),
    "",
    ...criteria.flatMap(({ criterion, evidence, findings, measured, name }) => [
      `${name}: ${criterion}`,
      ...figures(measured),
      ...findings.slice(0, 5).map((what) => `    missed: ${what}`),
      ...evidence.map((file) => `    evidence: ${file}`),
    ]),
    "",
    `${verdict}: ${criteria.filter((one) => one.verdict === "pass").length} of ${criteria.length} criteria met`,
    `report: ${report}`,
  ].join("\n");
}
