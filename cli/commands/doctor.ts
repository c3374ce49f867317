import { Command } from "commander";
import type { Finding } from "../../server/diagnosis/finding.ts";
import type { CliContext } from "../context.ts";

export interface DoctorReport {
  readonly verdict: "ok" | "warnings" | "errors";
  readonly versions: { readonly openclawHa: string; readonly node: string };
  readonly findings: readonly Finding[];
}

export const doctorCommand = (context: CliContext): Command =>
  new Command("doctor")
    .description(
      "look at versions, stores, settings, clocks, schema, limits, disk and processes, and say what to do",
    )
    .addHelpText("after", "\nExit code 1 when something is wrong; warnings alone are no failure.")
    .action(async () => {
      const { diagnose } = await import("../doctor/diagnose.ts");
      const findings = await diagnose(context);
      const has = (severity: Finding["severity"]): boolean =>
        findings.some((one) => one.severity === severity);
      const report: DoctorReport = {
        verdict: has("error") ? "errors" : has("warning") ? "warnings" : "ok",
        versions: { openclawHa: context.version, node: context.nodeVersion },
        findings,
      };
      if (report.verdict === "errors") context.setExitCode(1);
      context.output.result(report, (value) => reportText(value, context.output.rich));
    });

const MARKS = { ok: "ok", warning: "warn", error: "FAIL" } as const;
/** SGR colours: green, yellow, red. */
const COLORS = { ok: 32, warning: 33, error: 31 } as const;

export function reportText({ findings, versions }: DoctorReport, color: boolean): string {
  const lines = findings.map(({ severity, what, why, action }) => {
    const mark = MARKS[severity].padEnd(4);
    const shown = color ? `\u001B[${COLORS[severity]}m${mark}\u001B[0m` : mark;
    return `${shown}  ${what}${why === "" ? "" : `\n      ${why}`}${action === "" ? "" : `\n      → ${action}`}`;
  });
  const count = (severity: Finding["severity"]): number =>
    findings.filter((one) => one.severity === severity).length;
  const summary = `openclaw-ha ${versions.openclawHa}: ${count("error")} errors, ${count("warning")} warnings`;
  return [...lines, "", summary].join("\n");
}
