import { formatValue } from "../../loadtest/load-report/verdict.ts";
import { formatMs, formatNumber } from "../../loadtest/report/scale.ts";
import type { LoadTestResult } from "../../loadtest/result.ts";
import type { Percentiles } from "../../loadtest/verdict.ts";
import { textTable } from "../text-table.ts";

/** A result for a terminal. */
export function resultText(result: LoadTestResult): string {
  const { errors, generator, limit, messages, requests, verdict } = result;
  const times = [
    ["acknowledgement", result.ackMs] as const,
    ["queue wait", result.queueWaitMs] as const,
    ["first delta", result.firstDeltaMs] as const,
    ["end to end", result.endToEndMs] as const,
    ["reconnect gap", result.reconnectGapMs] as const,
    ["history", result.historyMs] as const,
    ["abort", result.abortMs] as const,
  ].filter(([, { p50 }]) => p50 !== null);
  const share = generator.machineShare;
  return [
    `${verdict === "pass" ? "PASS" : "FAIL"}  ${result.profile}, ${formatNumber(result.seconds)} s, ${result.clients} clients on ${result.target}`,
    "",
    textTable(
      ["PROMISE", "MEASURED", "ALLOWED", ""],
      result.thresholds.map(({ name, actual, target, unit, ok }) => [
        name,
        formatValue(actual, unit),
        formatValue(target, unit),
        ok ? "kept" : "MISSED",
      ]),
    ),
    "",
    textTable(["TIME", "P50", "P95", "P99", "MAX"], times.map(timeRow)),
    "",
    `${formatNumber(requests)} requests; failures: client ${errors.client}, overload ${errors.overload}, unplanned ${errors.unplanned}`,
    `${formatNumber(messages.sent)} messages sent, ${formatNumber(messages.ended)} ended well`,
    ...result.reasons.map(({ kind, op, reason, count }) => `  ${count} × ${kind}: ${op} ${reason}`),
    ...(limit === null
      ? []
      : [
          `limit: ${formatNumber(limit.messagesPerSecond)} messages per second (${limit.because ?? "nothing gave way"})`,
        ]),
    ...(share === null ? [] : [`the load generator took ${formatNumber(share * 100)} % of the machine`]),
    "",
    `report: ${result.report}`,
  ].join("\n");
}

const timeRow = ([name, { p50, p95, p99, max }]: readonly [string, Percentiles]): string[] => [
  name,
  ...[p50, p95, p99, max].map((ms) => (ms === null ? "–" : formatMs(ms))),
];
