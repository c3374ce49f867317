import { scriptedAgentRuntime } from "../../server/adapters/scripted-agent/agent-runtime.ts";
import { memoryObjectStore } from "../../server/adapters/memory/object-store.ts";
import { configSecretVault } from "../../server/adapters/memory/config-vault.ts";
import { postgresHeartbeatLink } from "../../server/adapters/postgres/heartbeat-link.ts";
import { postgresPool } from "../../server/adapters/postgres/pool.ts";
import { postgresRunLedger } from "../../server/adapters/postgres/run-ledger.ts";
import { postgresSessionStore } from "../../server/adapters/postgres/session-store.ts";
import { redisEventBus } from "../../server/adapters/redis/event-bus.ts";
import { redisRunQueue } from "../../server/adapters/redis/run-queue.ts";
import { jsonLogger } from "../../server/adapters/system/logger.ts";
import { isTerminalEvent } from "../../server/core/run-event.ts";
import { sessionKey, tenantId } from "../../server/core/ids.ts";
import { runAcceptor } from "../../server/gateway/accept-run.ts";
import { gatewayBodies } from "../../server/gateway/bodies.ts";
import { DEFAULT_LIMITS } from "../../server/gateway/protocol/limits.ts";
import { loadOpenClawConfig } from "../../server/openclaw-config/load.ts";
import { systemPorts } from "../../server/wiring.ts";
import { inProcessKeeper } from "../../server/worker/keep-lease.ts";
import { startWorker } from "../../server/worker/main.ts";
import { cpuSecondsByKind } from "./process-table.ts";
import { cpuMsPerRun, type Figures, summary } from "./report.ts";

export interface ControlPathOptions {
  /** Migrated, with tenant `bench`. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** Processes of the stores, whose CPU time counts. */
  readonly pids: readonly number[];
  readonly runs: number;
  /** Runs in flight. */
  readonly inFlight: number;
}

/**
 * The product's own path of a run, from the gateway's acceptor over queue and worker to the terminal event, with the
 * scripted runtime in the place of a model: every promise kept, no socket and no model in the figures. Each run is the
 * first of a new session.
 */
export async function controlPath(options: ControlPathOptions): Promise<Figures> {
  const { postgresUrl, redisUrl, pids, runs, inFlight } = options;
  const { clock, random } = systemPorts;
  const logger = jsonLogger({ level: "warn", destination: "stderr" });
  const { catalog: configured } = loadOpenClawConfig({
    path: null,
    env: {},
    demoModelUrl: "http://127.0.0.1:9/v1",
  });
  const catalog = { ...configured, laneWidths: { ...configured.laneWidths, main: inFlight } };
  const pool = postgresPool({ url: postgresUrl, applicationName: "bench" });
  const ledger = postgresRunLedger({ pool });
  const sessions = postgresSessionStore({ pool, random });
  const redis = { url: redisUrl, clock, random, logger };
  const queue = redisRunQueue({ ...redis, laneWidths: catalog.laneWidths });
  const bus = redisEventBus(redis);
  const objects = memoryObjectStore();
  const tenant = tenantId("bench");
  const shared = { ledger, sessions, queue, bus, objects, clock, random, logger, catalog };
  const worker = await startWorker({
    ...shared,
    vault: configSecretVault(new Map()),
    runtime: scriptedAgentRuntime({ clock }),
    keepLease: inProcessKeeper({
      link: () => postgresHeartbeatLink({ url: postgresUrl, applicationName: "bench heartbeat" }),
      clock,
      random,
    }),
    instance: "bench",
    pools: ["shared"],
    slots: inFlight,
  });
  await worker.registered();
  const acceptor = runAcceptor({
    ...shared,
    bodies: gatewayBodies({ objects, clock, logger }),
    limits: DEFAULT_LIMITS,
  });

  const waiting = new Map<string, () => void>();
  const unsubscribe = await bus.subscribe(tenant, {
    onEvents(events) {
      for (const { runId, body } of events) if (isTerminalEvent(body)) waiting.get(runId)?.();
    },
    onNotice() {},
    onGap() {},
  });

  const ackMs: number[] = [];
  const endToEndMs: number[] = [];
  const text = "x".repeat(200);
  let left = 0;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const idempotencyKey = random.uuid();
      const sentAt = performance.now();
      const ended = new Promise<void>((resolve) => waiting.set(idempotencyKey, resolve));
      const key = sessionKey(`agent:main:${idempotencyKey}`);
      await acceptor.accept({
        tenant,
        sessionKey: key,
        idempotencyKey,
        message: text,
        attachments: [],
        options: {},
      });
      ackMs.push(performance.now() - sentAt);
      await ended;
      waiting.delete(idempotencyKey);
      endToEndMs.push(performance.now() - sentAt);
    }
  };
  const pass = async (count: number): Promise<number> => {
    left = count;
    ackMs.length = endToEndMs.length = 0;
    const began = performance.now();
    await Promise.all(Array.from({ length: inFlight }, client));
    return (performance.now() - began) / 1_000;
  };

  await pass(inFlight); // connections, scripts, compiled code
  const processes = [process.pid, ...pids];
  const cpu = cpuSecondsByKind(processes);
  const seconds = await pass(runs);
  const cpuMsPerRunOf = cpuMsPerRun(cpu, cpuSecondsByKind(processes), runs);
  await unsubscribe();
  await worker.drain();
  await Promise.all([queue.close(), bus.close()]);
  await pool.end();
  return {
    runsPerSecond: Math.round(runs / seconds),
    ackMs: summary(ackMs),
    endToEndMs: summary(endToEndMs),
    cpuMsPerRunOf,
  };
}
