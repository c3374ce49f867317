import { lineChart } from "../../loadtest/report/chart.ts";
import { html } from "../../loadtest/report/html.ts";
import { page, section, tiles } from "../../loadtest/report/page.ts";
import { formatNumber } from "../../loadtest/report/scale.ts";
import { table } from "../../loadtest/report/table.ts";
import type { CostReport } from "./model.ts";

/** The comparison as one HTML file with a chart, for whoever decides. */
export function costPage(report: CostReport, program: string): string {
  const { byUsers, question, topologies } = report;
  const { currency, usage } = question;
  const money = (amount: number): string => `${formatNumber(amount)} ${currency}`;
  const measured = topologies.flatMap(({ cost, topology }) => (cost === null ? [] : [{ cost, topology }]));
  const cheapest = measured.toSorted((a, b) => a.cost.month.total - b.cost.month.total)[0];
  return page({
    title: "What V0, V1 and V2 cost",
    summary: `${usage.users} users, at the operator's own prices and usage.`,
    verdict: {
      text: cheapest === undefined ? "nothing measured" : `${cheapest.topology} is cheapest`,
      tone: "muted",
    },
    body: [
      tiles(
        topologies.map(({ cost, topology }) => ({
          label: `${topology}, a month`,
          value: cost === null ? "not measured" : money(cost.month.total),
          ...(cost === null ? {} : { note: `${money(cost.perUserMonth)} a user` }),
        })),
      ),
      section(
        "By number of users",
        "Everything else as it was said; the axis below is logarithmic.",
        lineChart({
          title: `${currency} per user and month`,
          series: measured.map(({ topology }) => ({
            name: topology,
            points: byUsers.map(({ perUserMonth, users }) => ({
              x: Math.log10(users),
              y: perUserMonth[topology],
            })),
          })),
          format: formatNumber,
          formatX: (x) => formatNumber(Math.round(10 ** x)),
          xLabel: "users",
          logarithmic: true,
          width: 900,
        }),
      ),
      section(
        "What it is made of",
        null,
        table(
          ["topology", "memory GB", "cores", "disk GB", "memory", "cpu", "disk", "total"].map((title, n) => ({
            title,
            number: n > 0,
          })),
          topologies.map(({ cost, topology }) =>
            cost === null
              ? [topology, { text: "not measured", tone: "muted" as const }]
              : [
                  topology,
                  ...[cost.memoryGb, cost.cores, cost.diskGb].map(formatNumber),
                  ...[cost.month.memory, cost.month.cpu, cost.month.disk, cost.month.total].map(money),
                ],
          ),
        ),
      ),
      section(
        "Assumptions",
        null,
        html`<ul>
          ${report.assumptions.map((assumption) => html`<li>${assumption}</li>`)}
        </ul>`,
      ),
    ],
    footer: html`Measured on ${report.measured.measuredAt}. Again: <code>${program} cost --html FILE</code>`,
  });
}
