import type { CostFigures, Share, TopologyFigures } from "../../loadtest/cost-figures.ts";

/** The operator's numbers, of flags and openclaw-ha.yaml (`cost`). */
export interface CostQuestion {
  readonly currency: string;
  readonly prices: {
    readonly memoryGbMonth: number;
    readonly cpuMonth: number;
    readonly diskGbMonth: number;
  };
  readonly usage: {
    readonly users: number;
    readonly onlineShare: number;
    readonly activeShare: number;
    readonly runsPerUserDay: number;
    readonly peakToAverage: number;
    readonly keepMonths: number;
    readonly cpuUtilization: number;
  };
}

/** As the reference of openclaw-ha.yaml has them. */
export const DEFAULT_QUESTION: CostQuestion = {
  currency: "EUR",
  prices: { memoryGbMonth: 3, cpuMonth: 15, diskGbMonth: 0.1 },
  usage: {
    users: 100,
    onlineShare: 0.3,
    activeShare: 0.05,
    runsPerUserDay: 30,
    peakToAverage: 5,
    keepMonths: 12,
    cpuUtilization: 0.5,
  },
};

/** What a topology takes at the busiest time, and what that costs a month. */
export interface TopologyCost {
  readonly memoryGb: number;
  readonly cores: number;
  readonly diskGb: number;
  readonly month: {
    readonly memory: number;
    readonly cpu: number;
    readonly disk: number;
    readonly total: number;
  };
  readonly perUserMonth: number;
}

const GB = 1_000_000_000;
const DAY_S = 86_400;
const MONTH_DAYS = 365 / 12;

/** Pure: the figures' parts, times how many there are of each, times the prices. */
export function costOf(figures: TopologyFigures, { prices, usage }: CostQuestion): TopologyCost {
  const { users } = usage;
  const online = Math.ceil(users * usage.onlineShare);
  const active = Math.ceil(users * usage.activeShare);
  const runsADay = users * usage.runsPerUserDay;
  const counts = { online, active };
  const parts: (readonly [number, Share])[] = [
    [1, figures.base],
    [users, figures.user],
    [online, figures.online],
    [active, figures.active],
    ...figures.growth.map(({ each, every, included, per }) => {
      const needed = Math.ceil(counts[per] / every);
      return [Math.max(0, needed - included), each] as const;
    }),
  ];
  const sum = (of: keyof Share): number => parts.reduce((all, [count, share]) => all + count * share[of], 0);
  const busyCores = sum("cores") + (runsADay / DAY_S) * usage.peakToAverage * figures.run.cpuSeconds;
  const keptRuns = runsADay * MONTH_DAYS * usage.keepMonths;
  const memoryGb = sum("memoryBytes") / GB;
  const cores = busyCores / usage.cpuUtilization;
  const diskGb = (sum("diskBytes") + keptRuns * figures.run.diskBytes) / GB;
  const memory = memoryGb * prices.memoryGbMonth;
  const cpu = cores * prices.cpuMonth;
  const disk = diskGb * prices.diskGbMonth;
  const total = memory + cpu + disk;
  return { memoryGb, cores, diskGb, month: { memory, cpu, disk, total }, perUserMonth: total / users };
}

export const TOPOLOGY_NAMES = ["v0", "v1", "v2"] as const;
type Name = (typeof TOPOLOGY_NAMES)[number];

/** What `cost --json` prints. */
export interface CostReport {
  readonly question: CostQuestion;
  readonly measured: Pick<CostFigures, "measuredAt" | "machine">;
  /** `measured: null`: this topology was not measured. */
  readonly topologies: readonly {
    readonly topology: Name;
    readonly measured: TopologyFigures | null;
    readonly cost: TopologyCost | null;
  }[];
  /** Cost of a user a month, for other numbers of users and all else the same. */
  readonly byUsers: readonly {
    readonly users: number;
    readonly perUserMonth: Readonly<Record<Name, number | null>>;
  }[];
  readonly assumptions: readonly string[];
}

/** Numbers of users that the comparison shows. */
const SIZES = [1, 10, 30, 100, 300, 1_000, 3_000, 10_000];

export function compareCosts(figures: CostFigures, question: CostQuestion): CostReport {
  const { machine, measuredAt, topologies } = figures;
  const costs = (asked: CostQuestion): Record<Name, TopologyCost | null> => {
    const of = (name: Name): TopologyCost | null => {
      const measured = topologies[name];
      return measured === null ? null : costOf(measured, asked);
    };
    return { v0: of("v0"), v1: of("v1"), v2: of("v2") };
  };
  const now = costs(question);
  return {
    question,
    measured: { measuredAt, machine },
    topologies: TOPOLOGY_NAMES.map((topology) => ({
      topology,
      measured: topologies[topology],
      cost: now[topology],
    })),
    byUsers: SIZES.map((users) => {
      const { v0, v1, v2 } = costs({ ...question, usage: { ...question.usage, users } });
      const perUserMonth = {
        v0: v0?.perUserMonth ?? null,
        v1: v1?.perUserMonth ?? null,
        v2: v2?.perUserMonth ?? null,
      };
      return { users, perUserMonth };
    }),
    assumptions: assumptionsOf(figures, question),
  };
}

function assumptionsOf({ machine, measuredAt }: CostFigures, { usage }: CostQuestion): string[] {
  const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`;
  return [
    `measured on ${measuredAt} with the demo model on ${machine.cores} cores (${machine.cpu}), Node ${machine.node}; measure yours with \`npm run bench -- cost\``,
    `at the busiest time ${percent(usage.onlineShare)} of the users are connected, ${percent(usage.activeShare)} have a run under way, and runs are sent ${usage.peakToAverage} times as fast as on average`,
    `cores are bought so that ${percent(usage.cpuUtilization)} of them are used then`,
    `a user sends ${usage.runsPerUserDay} short messages a day, and what they leave is kept for ${usage.keepMonths} months; long answers and attachments come on top`,
    "v0 and v1 have no process to spare: when a user's process dies, that user waits; v2 pays for a second of each from the start",
    "not counted: model calls, network, backups and standbys of stores, the operating system, people",
  ];
}
