import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pidsOf, startDeployment } from "../../server/testing/deployment.ts";
import { OPENCLAW_VERSION, openclawConfig, startGenuineGateway } from "./genuine-openclaw.ts";
import { type LoadFigures, measureLoad } from "./load.ts";
import { progress, result, rounded } from "./report.ts";
import { serveProcess } from "./served-process.ts";

const CLIENTS = 50;
const POOL = { warmUpRuns: 2_000, runs: 10_000 };
/** A genuine gateway ends three to four runs a second: two per client are enough to see its queue. */
const GENUINE = { warmUpRuns: 3, runs: 100 };

/**
 * The pool (two gateways, two workers, all its stores on this machine) and one genuine OpenClaw gateway under the
 * same load, one after the other: the same openclaw.json, the same model server, the same generator. The figures of
 * the pool include its own small agent loop, those of OpenClaw its large one (31 KB of prompt, 12 tools).
 */
export async function openclawBenchmark(): Promise<void> {
  const token = randomBytes(24).toString("base64url");
  const model = await serveProcess("demo-model", {});
  try {
    const modelUrl = `http://127.0.0.1:${model.port}/v1`;
    const pool = await measurePool(modelUrl, token, model.pid);
    progress(`pool: ${pool.runsPerSecond} runs/s, ack p99 ${pool.ackMs.p99} ms`);
    const genuine = await measureGenuine(modelUrl, token, model.pid);
    progress(`openclaw: ${genuine.runsPerSecond} runs/s, ack p99 ${genuine.ackMs.p99} ms`);
    result({
      benchmark: "openclaw",
      version: OPENCLAW_VERSION,
      clients: CLIENTS,
      pool,
      genuine,
      ratios: {
        runsPerSecond: rounded(pool.runsPerSecond / genuine.runsPerSecond),
        ackP50: rounded(genuine.ackMs.p50 / pool.ackMs.p50),
        ackP99: rounded(genuine.ackMs.p99 / pool.ackMs.p99),
        endToEndP99: rounded(genuine.endToEndMs.p99 / pool.endToEndMs.p99),
        // What other work on the machine at the time of either half changes least.
        cpuPerRun: rounded(totalCpu(genuine) / totalCpu(pool)),
      },
    });
  } finally {
    await model.stop();
  }
}

const totalCpu = ({ cpuMsPerRunOf }: LoadFigures): number =>
  Object.values(cpuMsPerRunOf).reduce((sum, ms) => sum + ms, 0);

async function measurePool(modelUrl: string, token: string, modelPid: number): Promise<LoadFigures> {
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-bench-"));
  const configFile = path.join(folder, "openclaw.json");
  await writeFile(configFile, JSON.stringify(openclawConfig(modelUrl, 18_789, token, folder)), {
    mode: 0o600,
  });
  const deployment = await startDeployment({
    gateways: 2,
    workers: 2,
    args: ["--openclaw-config", configFile],
    env: { OPENCLAW_HA_LOG_LEVEL: "warn" },
  });
  try {
    const { OPENCLAW_GATEWAY_URL: url } = await deployment.env();
    const roots = [...Object.values(pidsOf(await deployment.status())), modelPid];
    return await measureLoad({ url: String(url), token, clients: CLIENTS, ...POOL }, roots);
  } finally {
    await deployment.close();
    await rm(folder, { recursive: true });
  }
}

async function measureGenuine(modelUrl: string, token: string, modelPid: number): Promise<LoadFigures> {
  const gateway = await startGenuineGateway(modelUrl, token);
  try {
    return await measureLoad({ url: gateway.url, token, clients: CLIENTS, ...GENUINE }, [
      gateway.pid,
      modelPid,
    ]);
  } finally {
    await gateway.stop();
  }
}
