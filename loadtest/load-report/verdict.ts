import { html, type Html } from "../report/html.ts";
import { section } from "../report/page.ts";
import { formatMs, formatNumber } from "../report/scale.ts";
import { table } from "../report/table.ts";
import type { LoadTestResult } from "../result.ts";
import type { ThresholdResult } from "../threshold.ts";
import type { Percentiles } from "../verdict.ts";

/** A value of a threshold, in its unit. */
export function formatValue(value: number | null, unit: ThresholdResult["unit"]): string {
  if (value === null) return "nothing measured";
  return unit === "ms" ? formatMs(value) : `${formatNumber(value * 100)} %`;
}

export const thresholdsSection = ({ thresholds }: LoadTestResult): Html =>
  section(
    "Promises",
    null,
    table(
      [
        { title: "promise" },
        { title: "measured", number: true },
        { title: "allowed", number: true },
        { title: "" },
      ],
      thresholds.map(({ name, actual, target, unit, ok }) => [
        name,
        formatValue(actual, unit),
        `≤ ${formatValue(target, unit)}`,
        ok ? { text: "kept", tone: "good" } : { text: "missed", tone: "bad" },
      ]),
    ),
  );

const short = ({ p50, p99 }: Percentiles): string =>
  p50 === null || p99 === null ? "–" : `${formatMs(p50)} / ${formatMs(p99)}`;

/** Nothing where there is one class only: the tiles have told it. */
export function classesSection({ classes }: LoadTestResult): Html {
  const rows = Object.entries(classes);
  if (rows.length < 2) return html``;
  return section(
    "By class of clients",
    "p50 / p99 of each.",
    table(
      [
        { title: "class" },
        ...["clients", "acknowledgement", "queue wait", "first delta", "end to end", "reconnect gap"].map(
          (title) => ({
            title,
            number: true,
          }),
        ),
      ],
      rows.map(([name, figures]) => [
        name,
        formatNumber(figures.clients),
        short(figures.ackMs),
        short(figures.queueWaitMs),
        short(figures.firstDeltaMs),
        short(figures.endToEndMs),
        short(figures.reconnectGapMs),
      ]),
    ),
  );
}
