import { comparison } from "./load-report/comparison.ts";
import { errorsSection } from "./load-report/errors.ts";
import { generatorSection } from "./load-report/generator.ts";
import { latencySection, rateSection } from "./load-report/through-time.ts";
import { classesSection, thresholdsSection } from "./load-report/verdict.ts";
import type { Profile } from "./profiles.ts";
import { html, type Html } from "./report/html.ts";
import { page, section, type Tile, tiles } from "./report/page.ts";
import { formatMs, formatNumber } from "./report/scale.ts";
import type { Baseline, LoadTestResult } from "./result.ts";
import type { RunSeries } from "./series.ts";
import { SLOS } from "./slos.ts";
import type { Percentiles } from "./verdict.ts";

/** What a report is made of; the profile as it was run, at its scale. */
export interface ReportParts {
  readonly profile: Profile;
  readonly result: LoadTestResult;
  readonly series: RunSeries;
  /** The run that this one is compared with: the last one of the profile, or `--baseline`. */
  readonly baseline: Baseline | null;
}

/** The report of one load test, a whole HTML document. */
export function loadReport(parts: ReportParts): string {
  const { profile, result } = parts;
  const missed = result.thresholds.filter(({ ok }) => !ok).map(({ name }) => name);
  const passed = result.verdict === "pass";
  return page({
    title: `Load test: ${profile.name}`,
    summary: passed ? profile.claim : `${profile.claim} Not so in this run: ${missed.join("; ")}.`,
    verdict: passed ? { text: "pass", tone: "good" } : { text: "fail", tone: "bad" },
    body: [
      headline(parts),
      suspicion(result),
      thresholdsSection(result),
      comparison(parts),
      latencySection(parts),
      rateSection(parts),
      classesSection(result),
      errorsSection(result),
      generatorSection(parts),
      HOW_TO_READ,
    ],
    footer: html`${result.startedAt.replace("T", " ").slice(0, 19)} UTC · ${formatNumber(result.seconds)} s of
      load · ${result.clients} clients · ${result.target} · again: <code>${result.command}</code>`,
  });
}

function headline({ result }: ReportParts): Html {
  const { errors, generator, limit, messages, requests } = result;
  const time = (label: string, { p99, p50 }: Percentiles): Tile => ({
    label: `${label} p99`,
    value: p99 === null ? "–" : formatMs(p99),
    note: p50 === null ? "nothing measured" : `p50 ${formatMs(p50)}`,
  });
  const share = requests === 0 ? 1 : errors.unplanned / requests;
  return tiles([
    {
      label: "unplanned failures",
      value: formatNumber(errors.unplanned),
      note: `of ${formatNumber(requests)} requests`,
      tone: share <= SLOS.unplannedShare ? "good" : "bad",
    },
    {
      label: "refused for overload",
      value: formatNumber(errors.overload),
      note: "to be tried again",
      tone: errors.overload === 0 ? "good" : "warn",
    },
    {
      label: "messages",
      value: formatNumber(messages.sent),
      note: `${formatNumber(messages.sent / Math.max(1, result.seconds))} per second`,
    },
    time("acknowledgement", result.ackMs),
    time("first delta", result.firstDeltaMs),
    time("end to end", result.endToEndMs),
    time("queue wait", result.queueWaitMs),
    ...(result.reconnectGapMs.p99 === null ? [] : [time("reconnect gap", result.reconnectGapMs)]),
    ...(limit === null
      ? []
      : [
          {
            label: "limit",
            value: `${formatNumber(limit.messagesPerSecond)}/s`,
            note: limit.because ?? "nothing gave way up to here",
          },
        ]),
    {
      label: "load generator",
      value: generator.machineShare === null ? "–" : `${formatNumber(generator.machineShare * 100)} %`,
      note: "of the machine",
      tone: generator.suspicion === null ? "good" : "warn",
    },
  ]);
}

const suspicion = ({ generator }: LoadTestResult): Html =>
  generator.suspicion === null
    ? html``
    : html`<p class="note aside">
        <b>Read the times with care:</b> ${generator.suspicion}. On a quieter machine, or with a lighter load,
        they would tell more about the service.
      </p>`;

const HOW_TO_READ = section(
  "How to read this",
  null,
  html`<p class="note">
      Messages are due by a schedule that waits for nobody, as those of independent people; all times count
      from the moment a message was due, so that a stall is paid by everybody who came during it. What the
      model takes is known beforehand (the messages tell the demo model how to answer) and is part of first
      delta and end to end.
    </p>
    <p class="note">
      <b>Queue wait</b> is from the acknowledgement until the client hears that a worker has the run;
      <b>reconnect gap</b> from a broken connection until the next event of a run that was under way.
      <b>Overload</b> refusals say that the same request may come again and leave nothing behind;
      <b>client</b> faults would be the load test's own; everything else is <b>unplanned</b>: a wrong or
      foreign answer, a run without an end, a connection lost without a word.
    </p>`,
);
