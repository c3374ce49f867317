import type { ReportParts } from "../load-report.ts";
import { html, type Html } from "../report/html.ts";
import { section } from "../report/page.ts";
import { formatMs, formatNumber } from "../report/scale.ts";
import { type Cell, table } from "../report/table.ts";

/** Less than that in either direction is what the same run would vary by anyhow. */
const NOISE = 0.1;

/** This run beside the one that it is compared with; nothing where there is none. */
export function comparison({ result, baseline }: ReportParts): Html {
  if (baseline === null) return html``;
  const before = baseline.result;
  const differs = (["clients", "seconds"] as const).filter((field) => before[field] !== result[field]);
  const rows: Cell[][] = [
    ["acknowledgement", result.ackMs, before.ackMs] as const,
    ["queue wait", result.queueWaitMs, before.queueWaitMs] as const,
    ["first delta", result.firstDeltaMs, before.firstDeltaMs] as const,
    ["end to end", result.endToEndMs, before.endToEndMs] as const,
    ["reconnect gap", result.reconnectGapMs, before.reconnectGapMs] as const,
  ].flatMap(([name, now, then]) =>
    (["p50", "p99"] as const).flatMap((stat): Cell[][] => {
      const [a, b] = [now[stat], then[stat]];
      return a === null || b === null ? [] : [[`${name} ${stat}`, formatMs(b), formatMs(a), change(b, a)]];
    }),
  );
  for (const kind of ["unplanned", "overload"] as const) {
    const [a, b] = [result.errors[kind], before.errors[kind]];
    if (a + b > 0) rows.push([`${kind} failures`, formatNumber(b), formatNumber(a), change(b, a)]);
  }
  const note = `Compared with the run of ${before.startedAt.replace("T", " ").slice(0, 19)} UTC (${before.verdict}); dashed in the charts.`;
  return section(
    "Against the baseline",
    differs.length === 0
      ? note
      : `${note} It was run at another size (${differs.join(", ")}): compare with care.`,
    table(
      [
        { title: "" },
        { title: "baseline", number: true },
        { title: "this run", number: true },
        { title: "change", number: true },
      ],
      rows,
    ),
  );
}

function change(before: number, now: number): Cell {
  if (before === now) return { text: "same", tone: "muted" };
  if (before === 0) return { text: "new", tone: "bad" };
  const share = now / before - 1;
  const text = `${share > 0 ? "+" : ""}${formatNumber(share * 100)} %`;
  return { text, tone: Math.abs(share) < NOISE ? "muted" : share > 0 ? "bad" : "good" };
}
