import { startDeployment } from "../../server/testing/deployment.ts";
import { gatewayTakeovers } from "./gateway-takeover.ts";
import { percentile, result, rounded, summary } from "./report.ts";
import { workerTakeovers } from "./worker-takeover.ts";

const KILLS = 20;

/** How long streams stand still when a process of a real deployment is killed under them. */
export async function takeoverBenchmark(): Promise<void> {
  const deployment = await startDeployment({
    gateways: 2,
    workers: 2,
    env: { OPENCLAW_HA_LOG_LEVEL: "warn" },
  });
  try {
    const workers = await workerTakeovers(deployment, KILLS);
    const gateways = await gatewayTakeovers(deployment, KILLS);
    result({
      benchmark: "takeover",
      kills: KILLS,
      worker: {
        runs: workers.nextEventMs.length,
        nextEventMs: figures(workers.nextEventMs),
        nextModelCallMs: figures(workers.nextModelCallMs),
      },
      gateway: { clients: gateways.nextEventMs.length, nextEventMs: figures(gateways.nextEventMs) },
    });
  } finally {
    await deployment.close();
  }
}

const figures = (samples: readonly number[]): Record<string, number> => ({
  ...summary(samples),
  p90: percentile(samples, 0.9),
  max: rounded(Math.max(...samples)),
});
