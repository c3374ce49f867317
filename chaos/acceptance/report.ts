import { html, type Html } from "../../loadtest/report/html.ts";
import { page, section, tiles } from "../../loadtest/report/page.ts";
import { table } from "../../loadtest/report/table.ts";
import { toneOf } from "../report/run-report.ts";
import type { CriterionResult } from "./criterion.ts";

/** The verdict on one page, with the way to everything that was recorded. Links are relative to the report's folder. */
export function acceptanceReport(
  verdict: "pass" | "fail",
  criteria: readonly CriterionResult[],
  { command, relative }: { readonly command: string; readonly relative: (file: string) => string },
): string {
  const passed = criteria.filter((one) => one.verdict === "pass").length;
  return page({
    title: "Acceptance",
    summary: "The customer's acceptance criteria, each tried on a deployment that was brought up for it.",
    verdict: { text: verdict.toUpperCase(), tone: toneOf(verdict) },
    body: [
      tiles([
        { label: "criteria met", value: `${passed} of ${criteria.length}`, tone: toneOf(verdict) },
        ...criteria.map((one) => ({ label: one.name, value: one.verdict, tone: toneOf(one.verdict) })),
      ]),
      ...criteria.map((one) => criterionSection(one, relative)),
    ],
    footer: html`Run it again: <code>${command}</code>`,
  });
}

function criterionSection(one: CriterionResult, relative: (file: string) => string): Html {
  const findings = one.findings.map((what) => html`<li>${what}</li>`);
  const evidence = one.evidence.map(
    (file) => html`<li><a href="${linkTo(relative(file))}">${relative(file)}</a></li>`,
  );
  return section(
    `${one.name}: ${one.verdict}`,
    `${one.criterion}. Done: ${one.done}.`,
    table(
      [{ title: "figure" }, { title: "measured", number: true }],
      Object.entries(one.measured).map(([name, value]) => [name, value === null ? "–" : String(value)]),
    ),
    ...(findings.length === 0
      ? []
      : [
          html`<h3>Missed</h3>`,
          html`<ul>
            ${findings}
          </ul>`,
        ]),
    html`<h3>Evidence</h3>
      <ul>
        ${evidence}
      </ul>`,
  );
}

/** A folder's own report, or the file itself. */
const linkTo = (file: string): string => encodeURI(/\.\w+$/.test(file) ? file : `${file}/report.html`);
