import { formatNumber } from "../../loadtest/report/scale.ts";
import { table } from "../table.ts";
import type { CostReport } from "./model.ts";

const BAR_WIDTH = 40;
const NOT_MEASURED = "not measured";

/** The comparison for people: table, chart, and what it rests on. */
export function costText(report: CostReport): string {
  const { currency, usage } = report.question;
  const money = (amount: number): string => `${formatNumber(amount)} ${currency}`;
  const rows = report.topologies.map(({ cost, topology }) =>
    cost === null
      ? [topology, NOT_MEASURED]
      : [
          topology,
          `${formatNumber(cost.memoryGb)} GB`,
          formatNumber(cost.cores),
          `${formatNumber(cost.diskGb)} GB`,
          money(cost.month.total),
          money(cost.perUserMonth),
        ],
  );
  return [
    `${usage.users} users, a month`,
    "",
    table([["TOPOLOGY", "MEMORY", "CORES", "DISK", "TOTAL", "PER USER"], ...rows]),
    "",
    bars(report, money),
    "",
    "per user and month, by number of users",
    byUsers(report),
    "",
    "one more of each takes",
    parts(report),
    "",
    "assumptions",
    ...report.assumptions.map((assumption) => `  - ${assumption}`),
  ].join("\n");
}

function bars({ topologies }: CostReport, money: (amount: number) => string): string {
  const most = Math.max(...topologies.map(({ cost }) => cost?.month.total ?? 0), Number.MIN_VALUE);
  const KINDS = [
    ["memory", "█"],
    ["cpu", "▓"],
    ["disk", "░"],
  ] as const;
  const rows = topologies.map(({ cost, topology }) => {
    if (cost === null) return [topology, NOT_MEASURED];
    const bar = KINDS.map(([kind, mark]) => mark.repeat(Math.round((cost.month[kind] / most) * BAR_WIDTH)));
    return [topology, `${bar.join("")} ${money(cost.month.total)}`];
  });
  return `${table(rows)}\n${KINDS.map(([kind, mark]) => `${mark} ${kind}`).join("  ")}`;
}

function byUsers(report: CostReport): string {
  const names = report.topologies.map(({ topology }) => topology);
  const amount = (value: number | null): string => (value === null ? "-" : formatNumber(value));
  const rows = report.byUsers.map(({ perUserMonth, users }) => [
    formatNumber(users),
    ...names.map((name) => amount(perUserMonth[name])),
  ]);
  return table([["USERS", ...names], ...rows]);
}

/** What was measured, as the figures that everything above is made of. */
function parts({ topologies }: CostReport): string {
  const rows = topologies.flatMap(({ measured, topology }): string[][] => {
    if (measured === null) return [[topology, NOT_MEASURED]];
    const shares = (["base", "user", "online", "active"] as const).map((part) => {
      const { cores, diskBytes, memoryBytes } = measured[part];
      return [
        topology,
        PARTS[part],
        bytes(memoryBytes),
        `${formatNumber(cores * 1_000)} m`,
        bytes(diskBytes),
      ];
    });
    const { cpuSeconds, diskBytes } = measured.run;
    return [
      ...shares,
      [topology, "run", "", `${formatNumber(cpuSeconds * 1_000)} ms`, bytes(diskBytes)],
      ...measured.growth.map(({ each, every, per, what }) => [
        topology,
        `${what}, per ${every} ${per}`,
        bytes(each.memoryBytes),
        `${formatNumber(each.cores * 1_000)} m`,
        "",
      ]),
    ];
  });
  return table([["TOPOLOGY", "OF", "MEMORY", "CPU", "DISK"], ...rows]);
}

const PARTS = {
  base: "deployment",
  user: "idle user",
  online: "connected user",
  active: "active session",
} as const;

const STEPS = [
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "KB"],
] as const;

function bytes(count: number): string {
  const [size, unit] = STEPS.find(([step]) => count >= step) ?? [1, "B"];
  return `${formatNumber(count / size)} ${unit}`;
}
