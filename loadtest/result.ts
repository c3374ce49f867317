import { z } from "zod";
import { HAError } from "../server/core/errors.ts";
import type { CpuUse } from "./cpu-watch.ts";
import type { RunSeries } from "./series.ts";
import type { ThresholdResult } from "./threshold.ts";
import type { Percentiles } from "./verdict.ts";

/** The document of `loadtest --json`: names and shapes are a contract, further fields may join them. */
export interface LoadTestResult {
  readonly verdict: "pass" | "fail";
  readonly profile: string;
  readonly requests: number;
  readonly errors: { readonly client: number; readonly overload: number; readonly unplanned: number };
  readonly ackMs: Percentiles;
  readonly firstDeltaMs: Percentiles;
  readonly endToEndMs: Percentiles;
  readonly queueWaitMs: Percentiles;
  readonly reconnectGapMs: Percentiles;
  readonly historyMs: Percentiles;
  readonly abortMs: Percentiles;
  readonly connectMs: Percentiles;
  readonly thresholds: readonly ThresholdResult[];
  /** The HTML report. */
  readonly report: string;
  readonly messages: { readonly sent: number; readonly ended: number };
  readonly classes: Readonly<Record<string, ClassFigures>>;
  /** Failures by reason, most frequent first. */
  readonly reasons: readonly Reason[];
  /** The highest rate at which the promises were kept; only of profiles that look for it. */
  readonly limit: Limit | null;
  readonly generator: GeneratorFigures;
  readonly startedAt: string;
  /** Of the load, without connecting and draining. */
  readonly seconds: number;
  readonly clients: number;
  readonly target: string;
  /** To run it again. */
  readonly command: string;
}

export interface ClassFigures {
  readonly clients: number;
  readonly ackMs: Percentiles;
  readonly firstDeltaMs: Percentiles;
  readonly endToEndMs: Percentiles;
  readonly queueWaitMs: Percentiles;
  readonly reconnectGapMs: Percentiles;
}

export interface Reason {
  readonly kind: string;
  readonly op: string;
  readonly reason: string;
  readonly count: number;
}

export interface Limit {
  readonly messagesPerSecond: number;
  /** What gave way above it; null: nothing did. */
  readonly because: string | null;
}

export interface GeneratorFigures {
  /** How late messages left it. */
  readonly lagMs: Percentiles;
  /** Null where it cannot be read (not Linux). */
  readonly cpu: CpuUse | null;
  /** Its part of all the CPU time that the machine has, 0 to 1. */
  readonly machineShare: number | null;
  /** The part of programs that are neither the generator's nor the deployment's; null where that is not known. */
  readonly othersShare: number | null;
  /** Why the times say more about something else than about the service; null: they do not. */
  readonly suspicion: string | null;
}

/** What is kept of a run beside its report: also what `--baseline` reads. */
export interface KeptRun {
  readonly format: typeof KEPT_FORMAT;
  readonly result: LoadTestResult;
  readonly series: RunSeries;
}
export const KEPT_FORMAT = "openclaw-ha-loadtest-1";

const percentiles = z.object({
  p50: z.number().nullable(),
  p95: z.number().nullable(),
  p99: z.number().nullable(),
  max: z.number().nullable(),
});
const values = z.array(z.number().nullable());

/** What a comparison needs of a kept run. */
const keptSchema = z.object({
  format: z.literal(KEPT_FORMAT),
  result: z.looseObject({
    verdict: z.enum(["pass", "fail"]),
    profile: z.string(),
    requests: z.number(),
    errors: z.object({ client: z.number(), overload: z.number(), unplanned: z.number() }),
    ackMs: percentiles,
    firstDeltaMs: percentiles,
    endToEndMs: percentiles,
    queueWaitMs: percentiles,
    reconnectGapMs: percentiles,
    startedAt: z.string(),
    seconds: z.number(),
    clients: z.number(),
  }),
  series: z.looseObject({
    at: z.array(z.number()),
    sentPerSecond: values,
    endedPerSecond: values,
    p50: z.record(z.string(), values),
    p99: z.record(z.string(), values),
  }),
});
export type Baseline = z.infer<typeof keptSchema>;

/** @throws HAError REQUEST_INVALID for a file that is no kept run, or of another release */
export function parseKeptRun(text: string, file: string): Baseline {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    document = null;
  }
  const parsed = keptSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new HAError("REQUEST_INVALID", `${file} is no result of a load test, or one of another release`, {
    hint: "give the result.json that lies beside a report",
  });
}
