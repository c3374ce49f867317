import { type Band, lineChart, type Marker } from "../../loadtest/report/chart.ts";
import { html, type Html, type Tone } from "../../loadtest/report/html.ts";
import { grid, page, section, tiles } from "../../loadtest/report/page.ts";
import { formatMs } from "../../loadtest/report/scale.ts";
import { table } from "../../loadtest/report/table.ts";
import type { PromiseVerdict, Verdict } from "../judge.ts";
import { type Facts, factsOf } from "../validators/facts.ts";
import type { Evidence } from "../validators/validator.ts";
import { instanceLanes, sessionLanes } from "./lanes.ts";
import { experienceOf } from "./series.ts";
import { timeline } from "./timeline.ts";

const VIOLATIONS_SHOWN = 20;
/** Drawn behind the last event, so that the end is seen as one. */
const AFTER_MS = 300;

export const toneOf = (verdict: "pass" | "fail" | "unproven" | "skipped"): Tone =>
  verdict === "pass" ? "good" : verdict === "fail" ? "bad" : verdict === "unproven" ? "warn" : "muted";

/** One run as one self-contained file: what was done, what people experienced, and whether every promise held. */
export function runReport(evidence: Evidence, verdict: Verdict): string {
  const facts = factsOf(evidence);
  const { header, end, records } = evidence.history;
  const until = Math.max(facts.window.to, ...facts.faults.map(({ healedAt }) => healedAt ?? 0)) + AFTER_MS;
  return page({
    title: header.scenario,
    summary: header.claim,
    verdict: { text: verdict.verdict.toUpperCase(), tone: toneOf(verdict.verdict) },
    body: [
      tiles([
        { label: "promises held", value: heldOf(verdict), tone: toneOf(verdict.verdict) },
        { label: "requests", value: String(verdict.operations), note: `${verdict.runs} runs` },
        ...longestPause(verdict),
        {
          label: "settled",
          value: end.settled ? "yes" : "no",
          note: "every acknowledged run ended",
          tone: end.settled ? "good" : "bad",
        },
        {
          label: "seed",
          value: String(header.seed),
          note: `${header.gateways} gateways, ${header.workers} workers`,
        },
      ]),
      section("Promises", null, promiseTable(verdict.promises), ...violationLists(verdict.promises)),
      section(
        "What happened",
        null,
        timeline({
          title: "Timeline",
          note: "Hold the pointer on a bar for its story; times are seconds since the start.",
          lanes: [...instanceLanes(facts, until), ...sessionLanes(facts, until)],
          range: [0, until],
          marks: facts.faults.flatMap(({ injectedAt, kind, subject }) =>
            injectedAt === null ? [] : [{ at: injectedAt, label: `${kind} ${subject}` }],
          ),
        }),
      ),
      section("What clients experienced", null, charts(facts, until)),
      section(
        "Pauses",
        "From a fault to the next event of the runs that clients were hearing then.",
        gapTable(verdict),
      ),
      section(
        "Faults",
        "A fault counts only when it was shown to have happened.",
        faultTable(facts, records),
      ),
    ],
    footer: html`Recorded ${header.startedAt} on the ${header.target}
      target${header.plantedBug === null ? "" : `, with the planted bug ${header.plantedBug}`}. Again:
      <code>${header.command}</code> · judge again: <code>openclaw-ha chaos judge DIR</code>`,
  });
}

const heldOf = ({ promises }: Verdict): string =>
  `${promises.filter(({ verdict }) => verdict === "pass").length} of ${promises.length}`;

function longestPause({ gaps }: Verdict) {
  const known = gaps.flatMap(({ fault, maxMs }) => (maxMs === null ? [] : [{ fault, maxMs }]));
  const worst = known.toSorted((a, b) => b.maxMs - a.maxMs)[0];
  return worst === undefined
    ? []
    : [{ label: "longest pause", value: formatMs(worst.maxMs), note: worst.fault }];
}

function promiseTable(promises: readonly PromiseVerdict[]): Html {
  return table(
    [
      { title: "promise" },
      { title: "verdict" },
      { title: "looked at", number: true },
      { title: "broken", number: true },
      { title: "" },
    ],
    promises.map(({ broken, checked, claim, name, unproven, verdict }) => [
      name,
      { text: verdict, tone: toneOf(verdict) },
      String(checked),
      String(broken),
      unproven.length === 0 ? claim : `unproven: ${unproven.join("; ")}`,
    ]),
  );
}

const violationLists = (promises: readonly PromiseVerdict[]): Html[] =>
  promises
    .filter(({ violations }) => violations.length > 0)
    .map(
      ({ broken, name, violations }) =>
        html`<h3>${name}</h3>
          <ul>
            ${violations
              .slice(0, VIOLATIONS_SHOWN)
              .map(
                ({ at, what }) =>
                  html`<li>${at === null ? "" : `${(at / 1_000).toFixed(2)} s: `}${what}</li>`,
              )}
            ${broken > VIOLATIONS_SHOWN ? html`<li>and ${broken - VIOLATIONS_SHOWN} more, in verdict.json</li>` : null}
          </ul>`,
    );

function charts(facts: Facts, until: number): Html {
  const seen = experienceOf(facts, until);
  const xRange = [0, until / 1_000] as const;
  const marks = faultMarks(facts, until);
  const shared = { ...marks, xRange };
  return grid(
    lineChart({
      ...shared,
      title: "Availability",
      note: "Share of requests that were answered on the first try, by when they were made.",
      series: [{ name: "answered", points: seen.available, area: true, color: 2 }],
      format: (y) => `${Math.round(y)} %`,
      yAtLeast: 100,
    }),
    lineChart({
      ...shared,
      title: "Requests a second",
      series: [
        { name: "answered", points: seen.answered, color: 0 },
        { name: "refused", points: seen.refused, color: 4 },
        { name: "answer lost", points: seen.lost, color: 1 },
      ],
    }),
    lineChart({
      ...shared,
      title: "Time to the ack",
      note: "From the first try to the ack, retries and reconnects included.",
      series: [
        { name: "longest", points: seen.ackMax, color: 1 },
        { name: "median", points: seen.ackP50, color: 0 },
      ],
      format: formatMs,
      logarithmic: true,
    }),
    lineChart({
      ...shared,
      title: "Time to the answer",
      note: "From the first try to the end of the run, waiting for earlier runs of its session included.",
      series: [
        { name: "longest", points: seen.endMax, color: 1 },
        { name: "median", points: seen.endP50, color: 0 },
      ],
      format: formatMs,
      logarithmic: true,
    }),
    lineChart({
      ...shared,
      title: "Events a second, over all clients",
      series: [{ name: "chat events", points: seen.events, color: 0, area: true }],
    }),
  );
}

/** Faults that last are bands, the others are moments. */
function faultMarks(
  { faults }: Facts,
  until: number,
): { readonly bands: Band[]; readonly markers: Marker[] } {
  const bands: Band[] = [];
  const markers: Marker[] = [];
  for (const { healedAt, injectedAt, kind, subject } of faults) {
    if (injectedAt === null) continue;
    const label = `${kind} ${subject}`;
    const from = injectedAt / 1_000;
    if (["kill", "terminate", "flush"].includes(kind)) markers.push({ at: from, label, color: "bad" });
    else bands.push({ from, to: (healedAt ?? until) / 1_000, label });
  }
  return { bands, markers };
}

const gapTable = ({ gaps }: Verdict): Html =>
  table(
    [
      { title: "fault" },
      { title: "times", number: true },
      { title: "streams it met", number: true },
      { title: "median", number: true },
      { title: "p99", number: true },
      { title: "longest", number: true },
    ],
    gaps.map(({ affected, fault, faults, maxMs, p50Ms, p99Ms }) => [
      fault,
      String(faults),
      String(affected),
      ...[p50Ms, p99Ms, maxMs].map((ms) => (ms === null ? "–" : formatMs(ms))),
    ]),
  );

function faultTable({ faults }: Facts, records: Evidence["history"]["records"]): Html {
  const told = records.filter((record) => record.type === "fault");
  const seconds = (ms: number | null): string => (ms === null ? "–" : `${(ms / 1_000).toFixed(2)} s`);
  return table(
    [
      { title: "fault" },
      { title: "of" },
      { title: "injected", number: true },
      { title: "shown", number: true },
      { title: "healed", number: true },
      { title: "evidence" },
    ],
    faults.map((fault) => [
      fault.kind,
      fault.subject,
      seconds(fault.injectedAt),
      fault.shownAt === null ? { text: "not shown", tone: "bad" } : seconds(fault.shownAt),
      seconds(fault.healedAt),
      told
        .filter(({ id }) => id === fault.id)
        .map(({ detail }) => detail)
        .join(" → "),
    ]),
  );
}
