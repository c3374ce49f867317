import { performance } from "node:perf_hooks";
import type { InstanceLoad } from "./core/scaling.ts";
import type { Clock } from "./ports/clock.ts";
import type { Logger } from "./ports/logger.ts";
import type { ScalingStore } from "./ports/scaling-store.ts";

/** Between two reports, in milliseconds. Whoever reads them drops what is older than a few of these. */
export const REPORT_EVERY_MS = 2_000;

/** What only the part of the process that does the work knows. */
export type PartLoad = Pick<InstanceLoad, "busy" | "slots" | "connections">;

export interface LoadReporterDeps {
  readonly scaling: Pick<ScalingStore, "report" | "forget">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instance: string;
  readonly pool: InstanceLoad["pool"];
  readonly read: () => PartLoad;
}

/**
 * Tells how loaded this instance is, from the event loop that does the work: an instance whose loop hangs goes silent
 * and counts as none. `stop` takes the report back, so that one that drains has no room to offer from then on.
 */
export function reportLoad(deps: LoadReporterDeps): { stop(): Promise<void> } {
  const { scaling, clock, logger, instance } = deps;
  const stopping = new AbortController();
  const measure = processMeter(clock);
  let failing = false;

  /** Reports are repeated anyway: one that fails is not tried again. */
  async function attempt(call: () => Promise<void>): Promise<void> {
    try {
      await call();
      failing = false;
    } catch (error) {
      if (!failing) logger.warn("load.report_failed", { error: String(error) });
      failing = true;
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const load = { instance, pool: deps.pool, ...measure(), ...deps.read() };
      await attempt(() => scaling.report(load));
      await clock.sleep(REPORT_EVERY_MS, stopping.signal);
    }
    await attempt(() => scaling.forget(instance));
  }

  const running = run();
  return {
    stop() {
      stopping.abort();
      return running;
    },
  };
}

/** CPU and event loop since the last call, and memory now. */
function processMeter(
  clock: Pick<Clock, "monotonic">,
): () => Pick<InstanceLoad, "cpu" | "loop" | "rssBytes"> {
  let at = clock.monotonic();
  let used = process.cpuUsage();
  let loop = performance.eventLoopUtilization();
  return () => {
    const now = clock.monotonic();
    const { user, system } = process.cpuUsage(used);
    const { utilization } = performance.eventLoopUtilization(loop);
    const passedUs = Math.max(1, now - at) * 1_000;
    at = now;
    used = process.cpuUsage();
    loop = performance.eventLoopUtilization();
    return {
      cpu: rounded((user + system) / passedUs),
      loop: rounded(utilization),
      rssBytes: process.memoryUsage.rss(),
    };
  };
}

const rounded = (share: number): number => Math.round(share * 1_000) / 1_000;
