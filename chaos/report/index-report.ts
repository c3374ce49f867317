import { basename } from "node:path";
import { html, type Html } from "../../loadtest/report/html.ts";
import { page, section, tiles } from "../../loadtest/report/page.ts";
import { formatMs } from "../../loadtest/report/scale.ts";
import { table } from "../../loadtest/report/table.ts";
import type { RunResult } from "../result.ts";
import type { ChaosSummary } from "../summary.ts";
import { toneOf } from "./run-report.ts";

/** All runs of one command on one page, each with the way to its own report. */
export function indexReport(summary: ChaosSummary, results: readonly RunResult[]): string {
  const { promises, seed, verdict } = summary;
  const count = (wanted: RunResult["verdict"]): number =>
    results.filter((one) => one.verdict === wanted).length;
  const looked = promises.reduce((sum, { checked }) => sum + checked, 0);
  return page({
    title: "Chaos",
    summary: "What was broken on purpose, and whether every promise held all the same.",
    verdict: { text: verdict.toUpperCase(), tone: toneOf(verdict) },
    body: [
      tiles([
        {
          label: "runs that passed",
          value: `${count("pass")} of ${results.length - count("skipped")}`,
          tone: toneOf(verdict),
        },
        { label: "looked at", value: looked.toLocaleString("en"), note: "operations, events, rows, pairs" },
        ...(count("skipped") === 0
          ? []
          : [{ label: "skipped", value: String(count("skipped")), tone: "muted" as const }]),
        { label: "first seed", value: String(seed) },
      ]),
      section("Promises", null, promiseTable(summary)),
      section(
        "Pauses",
        "From a fault to the next event of the runs that clients were hearing then, over all runs.",
        gapTable(results),
      ),
      section("Runs", null, runTable(results)),
    ],
    footer: html`Judge the recorded histories again: <code>openclaw-ha chaos judge DIR</code>`,
  });
}

const promiseTable = ({ promises }: ChaosSummary): Html =>
  table(
    [
      { title: "promise" },
      { title: "verdict" },
      { title: "looked at", number: true },
      { title: "broken", number: true },
      { title: "" },
    ],
    promises.map(({ checked, name, unproven, verdict, violations }) => {
      const [first] = violations;
      const [doubt] = unproven;
      return [
        name,
        { text: verdict, tone: toneOf(verdict) },
        checked.toLocaleString("en"),
        String(violations.length),
        first === undefined
          ? doubt === undefined
            ? ""
            : `${doubt.scenario} (seed ${doubt.seed}): ${doubt.why}`
          : `${first.scenario} (seed ${first.seed}): ${first.what}`,
      ];
    }),
  );

function gapTable(results: readonly RunResult[]): Html {
  const all = results.flatMap(({ judged }) => judged?.gaps ?? []);
  return table(
    [
      { title: "fault" },
      { title: "times", number: true },
      { title: "streams it met", number: true },
      { title: "worst median of a run", number: true },
      { title: "longest", number: true },
    ],
    [...Map.groupBy(all, ({ fault }) => fault)].map(([fault, of]) => {
      const worst = (values: readonly (number | null)[]): string => {
        const known = values.flatMap((value) => value ?? []);
        return known.length === 0 ? "–" : formatMs(Math.max(...known));
      };
      return [
        fault,
        String(of.reduce((sum, gap) => sum + gap.faults, 0)),
        String(of.reduce((sum, gap) => sum + gap.affected, 0)),
        worst(of.map(({ p50Ms }) => p50Ms)),
        worst(of.map(({ maxMs }) => maxMs)),
      ];
    }),
  );
}

const RANK: Readonly<Record<RunResult["verdict"], number>> = { fail: 0, pass: 1, skipped: 2 };

const runTable = (results: readonly RunResult[]): Html =>
  table(
    [
      { title: "scenario" },
      { title: "seed", number: true },
      { title: "verdict" },
      { title: "requests", number: true },
      { title: "took", number: true },
      { title: "" },
    ],
    // What went wrong is what the page is opened for.
    results
      .toSorted((a, b) => RANK[a.verdict] - RANK[b.verdict])
      .map(({ claim, dir, judged, reason, scenario, seed, tookMs, verdict }) => [
        dir === null || judged === null
          ? scenario
          : html`<a href="${encodeURIComponent(basename(dir))}/report.html">${scenario}</a>`,
        String(seed),
        { text: verdict, tone: toneOf(verdict) },
        judged === null ? "–" : String(judged.operations),
        `${(tookMs / 1_000).toFixed(1)} s`,
        reason ?? whatWasFound(judged) ?? claim,
      ]),
  );

function whatWasFound(judged: RunResult["judged"]): string | null {
  const [found] = (judged?.promises ?? []).flatMap(({ name, unproven, violations }) => [
    ...violations.map(({ what }) => `${name}: ${what}`),
    ...unproven.map((why) => `${name} is unproven: ${why}`),
  ]);
  return found ?? null;
}
