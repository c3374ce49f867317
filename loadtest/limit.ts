import { GENERATOR_LIMITS, SLOS } from "./slos.ts";
import { quantile, type Second } from "./samples.ts";
import type { Limit } from "./result.ts";

/** A promise is judged over so many seconds: in one second of a slow load there are too few values. */
const WINDOW_SECONDS = 5;

/**
 * The highest rate before a promise was broken in two windows on end: one alone may be a hiccup of the machine. Whether
 * the service or the generator gave way is told apart: a late generator proves nothing about the service.
 * @param shape what the model itself takes for a message
 */
export function findLimit(seconds: readonly Second[], shape: { readonly modelMs: number }): Limit {
  const windows = Array.from({ length: Math.floor(seconds.length / WINDOW_SECONDS) }, (_, n) =>
    seconds.slice(n * WINDOW_SECONDS, (n + 1) * WINDOW_SECONDS),
  );
  const because = windows.map((window) => whatGaveWay(window, shape.modelMs));
  const end = because.findIndex((why, n) => why !== null && because[n + 1] !== null);
  const kept = end < 0 ? windows : windows.slice(0, end);
  const rates = kept.map((window) => sum(window, ({ sent }) => sent) / WINDOW_SECONDS);
  return { messagesPerSecond: Math.max(0, ...rates), because: because[end] ?? null };
}

function whatGaveWay(window: readonly Second[], modelMs: number): string | null {
  const p99 = (metric: "ack" | "queue_wait" | "end_to_end" | "lag"): number =>
    quantile(
      window.flatMap(({ times }) => times.get(metric) ?? []),
      0.99,
    ) ?? 0;
  const lag = p99("lag");
  if (lag > GENERATOR_LIMITS.lagP99Ms) return `the load generator was ${Math.round(lag)} ms late itself`;
  const failed = sum(window, ({ errors }) => errors.unplanned);
  if (failed > 0) return `${failed} unplanned failures`;
  const refused = sum(window, ({ errors }) => errors.overload);
  if (refused > 0) return `${refused} refusals for overload`;
  const broken = [
    ["acknowledgement", p99("ack"), SLOS.ackP99Ms],
    ["queue wait", p99("queue_wait"), SLOS.queueWaitP99Ms],
    ["end to end", p99("end_to_end"), modelMs + SLOS.endToEndOverheadP99Ms],
  ] as const;
  const [name, actual, target] = broken.find(([, measured, allowed]) => measured > allowed) ?? [];
  return name === undefined ? null : `${name} p99 ${Math.round(actual ?? 0)} ms, promised ${target} ms`;
}

const sum = (window: readonly Second[], count: (second: Second) => number): number =>
  window.reduce((total, second) => total + count(second), 0);
