import type { ReportParts } from "../load-report.ts";
import { lineChart } from "../report/chart.ts";
import { html, type Html } from "../report/html.ts";
import { grid, section } from "../report/page.ts";
import { formatMs, formatNumber } from "../report/scale.ts";
import { type Cell, table } from "../report/table.ts";
import { pointsOf, rangeOf } from "./through-time.ts";

/** Who used the machine: a generator that takes half of it measures itself. */
export function generatorSection({ result, series }: ReportParts): Html {
  const { cpu, lagMs } = result.generator;
  const lag = lagMs.p99 === null ? "" : ` Messages left it at most ${formatMs(lagMs.p99)} late (p99).`;
  if (cpu === null) return section("The machine", `CPU times cannot be read on this system.${lag}`);
  const whole = cpu.seconds * cpu.cores;
  const row = (name: string, seconds: number): Cell[] => [
    name,
    `${formatNumber(seconds)} s`,
    formatNumber(seconds / cpu.seconds),
    `${formatNumber((seconds / whole) * 100)} %`,
  ];
  const others = cpu.machine - cpu.generator - (cpu.deployment ?? 0);
  const shares = table(
    [
      { title: "who" },
      { title: "CPU time", number: true },
      { title: "cores", number: true },
      { title: "of the machine", number: true },
    ],
    [
      row("load generator (k6 and this program)", cpu.generator),
      ...(cpu.deployment === null
        ? []
        : [
            row("the deployment", cpu.deployment),
            ...Object.entries(cpu.deploymentByKind)
              .sort(([, a], [, b]) => b - a)
              .map(([kind, seconds]) => row(`— ${kind}`, seconds)),
          ]),
      row(
        cpu.deployment === null ? "everything else on this machine" : "other programs",
        Math.max(0, others),
      ),
      row("idle", Math.max(0, whole - cpu.machine)),
    ],
  );
  const { cores } = series;
  const chart =
    cores === null
      ? html``
      : lineChart({
          title: `Cores in use, of ${cpu.cores}`,
          series: [
            { name: "whole machine", color: 7, points: pointsOf(cores.at, cores.machine) },
            ...(cores.deployment === null
              ? []
              : [
                  {
                    name: "the deployment",
                    color: 0,
                    area: true,
                    points: pointsOf(cores.at, cores.deployment),
                  },
                ]),
            { name: "load generator", color: 1, points: pointsOf(cores.at, cores.generator) },
          ],
          targets: [{ value: cpu.cores, label: `${cpu.cores} cores` }],
          xRange: rangeOf(series),
          yAtLeast: cpu.cores,
        });
  return section(
    "The machine",
    `CPU time over ${formatNumber(cpu.seconds)} s from the first message on.${lag}`,
    grid(chart, shares),
  );
}
