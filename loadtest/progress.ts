import type { Plan } from "./k6/lib/plan.ts";
import { loadSeconds } from "./plan.ts";
import { formatMs, formatNumber } from "./report/scale.ts";
import { quantile, type Samples } from "./samples.ts";

const EVERY_MS = 2_000;
/** Figures of the line are those of the last so many seconds. */
const WINDOW_SECONDS = 5;

/** Tells how the load goes, a line every two seconds, until it is stopped. */
export function watchProgress(options: {
  readonly plan: Plan;
  readonly samples: Samples;
  readonly progress: (text: string) => void;
}): { stop(): void } {
  const { plan, progress, samples } = options;
  const clients = plan.groups.reduce((sum, group) => sum + group.clients, 0);
  const total = loadSeconds(plan);
  progress(`${plan.profile}: ${clients} clients connect, then ${formatNumber(total)} s of load`);
  const timer = setInterval(() => {
    const line = progressLine(samples, total, Date.now());
    if (line !== null) progress(line);
  }, EVERY_MS);
  return { stop: () => clearInterval(timer) };
}

/** One line; null before the first message. */
export function progressLine(samples: Samples, totalSeconds: number, now: number): string | null {
  if (samples.loadBeganAt === null) return null;
  const elapsed = (now - samples.loadBeganAt) / 1_000;
  const until = Math.floor(now / 1_000);
  const window = samples.seconds().filter(({ at }) => at >= until - WINDOW_SECONDS && at < until);
  const count = (of: (second: (typeof window)[number]["second"]) => number): number =>
    window.reduce((sum, { second }) => sum + of(second), 0);
  const p99 = (metric: "ack" | "end_to_end"): string => {
    const value = quantile(
      window.flatMap(({ second }) => second.times.get(metric) ?? []),
      0.99,
    );
    return value === null ? "–" : formatMs(value);
  };
  const perSecond = (n: number): string => formatNumber(n / Math.max(1, window.length));
  const phase = elapsed > totalSeconds ? "waiting for the last answers" : (phaseAt(samples) ?? "");
  const errors = [
    count(({ errors: e }) => e.client),
    count(({ errors: e }) => e.overload),
    count(({ errors: e }) => e.unplanned),
  ];
  return [
    `${Math.min(elapsed, totalSeconds).toFixed(0)}/${totalSeconds.toFixed(0)} s`,
    phase,
    `${perSecond(count(({ sent }) => sent))} sent/s`,
    `${perSecond(count(({ ended }) => ended))} ended/s`,
    `${samples.underWay} under way`,
    `ack p99 ${p99("ack")}`,
    `end to end p99 ${p99("end_to_end")}`,
    `errors client ${errors[0]}, overload ${errors[1]}, unplanned ${errors[2]}`,
  ].join("  ");
}

const phaseAt = (samples: Samples): string | undefined =>
  samples
    .phases()
    .toSorted((a, b) => a.to - b.to)
    .at(-1)?.name;
