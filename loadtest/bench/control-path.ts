import { memoryObjectStore } from "../../server/adapters/memory/object-store.ts";
import { memoryRateLimiter } from "../../server/adapters/memory/rate-limiter.ts";
import { configSecretVault } from "../../server/adapters/memory/config-vault.ts";
import { postgresHeartbeatLink } from "../../server/adapters/postgres/heartbeat-link.ts";
import { postgresPool } from "../../server/adapters/postgres/pool.ts";
import { postgresRunLedger } from "../../server/adapters/postgres/run-ledger.ts";
import { postgresSessionStore } from "../../server/adapters/postgres/session-store.ts";
import { redisEventBus } from "../../server/adapters/redis/event-bus.ts";
import { redisRunQueue } from "../../server/adapters/redis/run-queue.ts";
import { scriptedAgentRuntime } from "../../server/adapters/scripted-agent/agent-runtime.ts";
import { jsonLogger } from "../../server/adapters/system/logger.ts";
import { sessionKey, tenantId } from "../../server/core/ids.ts";
import { isTerminalEvent } from "../../server/core/run-event.ts";
import { runAcceptor } from "../../server/gateway/accept-run.ts";
import { gatewayBodies } from "../../server/gateway/bodies.ts";
import { DEFAULT_LIMITS } from "../../server/gateway/protocol/limits.ts";
import { loadOpenClawConfig } from "../../server/openclaw-config/load.ts";
import type { AgentRuntime } from "../../server/ports/agent-runtime.ts";
import type { RunLedger } from "../../server/ports/run-ledger.ts";
import { systemPorts } from "../../server/wiring.ts";
import { inProcessKeeper } from "../../server/worker/keep-lease.ts";
import { startWorker } from "../../server/worker/main.ts";

export interface ControlPathOptions {
  /** Migrated, with tenant `bench`. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** Runs that the worker executes at once; also the width of the lane. */
  readonly slots: number;
  /** Looks at every execution of a run, in the scripted agent's place. */
  readonly observeRuntime?: (runtime: AgentRuntime) => AgentRuntime;
  /** Looks at every call of the ledger. */
  readonly observeLedger?: (ledger: RunLedger) => RunLedger;
}

/**
 * The product's own path of a run, from the gateway's acceptor over queue and worker to the terminal event, with the
 * scripted runtime in the place of a model: every promise kept, no socket and no model in the figures.
 */
export interface ControlPath {
  /** Resolves with the acknowledgement; the second promise resolves with the terminal event. */
  send(session: string, runId: string): Promise<{ readonly ended: Promise<void> }>;
  /** Ends the worker when nothing is under way any more, and closes every connection. */
  close(): Promise<void>;
}

export const BENCH_TENANT = tenantId("bench");
/** What a client sends: a message of an ordinary length. */
export const MESSAGE = "x".repeat(200);

export async function openControlPath(options: ControlPathOptions): Promise<ControlPath> {
  const { postgresUrl, redisUrl, slots } = options;
  const { clock, random } = systemPorts;
  const logger = jsonLogger({ level: "error", destination: "stderr" });
  const { catalog: configured } = loadOpenClawConfig({
    path: null,
    env: {},
    demoModelUrl: "http://127.0.0.1:9/v1",
  });
  const catalog = { ...configured, laneWidths: { ...configured.laneWidths, main: slots } };
  const pool = postgresPool({ url: postgresUrl, applicationName: "bench" });
  const observed = <Port>(port: Port, observe?: (port: Port) => Port): Port => observe?.(port) ?? port;
  const ledger = observed(postgresRunLedger({ pool }), options.observeLedger);
  const runtime = observed(scriptedAgentRuntime({ clock }), options.observeRuntime);
  const sessions = postgresSessionStore({ pool, random });
  const redis = { url: redisUrl, clock, random, logger };
  const queue = redisRunQueue({ ...redis, laneWidths: catalog.laneWidths });
  const bus = redisEventBus(redis);
  const objects = memoryObjectStore();
  const shared = { ledger, sessions, queue, bus, objects, clock, random, logger, catalog };
  const worker = await startWorker({
    ...shared,
    vault: configSecretVault(new Map()),
    rateLimiter: memoryRateLimiter({ clock }),
    runtime,
    keepLease: inProcessKeeper({
      link: () => postgresHeartbeatLink({ url: postgresUrl, applicationName: "bench heartbeat" }),
      clock,
      random,
    }),
    instance: "bench",
    pools: ["shared"],
    slots,
  });
  await worker.registered();
  const acceptor = runAcceptor({
    ...shared,
    bodies: gatewayBodies({ objects, clock, logger }),
    limits: DEFAULT_LIMITS,
    metrics: { limited: () => undefined },
    tenantLimits: { admit: () => Promise.resolve() },
  });

  const waiting = new Map<string, () => void>();
  const unsubscribe = await bus.subscribe(BENCH_TENANT, {
    onEvents(events) {
      for (const { runId, body } of events) {
        if (!isTerminalEvent(body)) continue;
        waiting.get(runId)?.();
        waiting.delete(runId);
      }
    },
    onNotice() {},
    onGap() {},
  });

  return {
    async send(session, idempotencyKey) {
      const ended = new Promise<void>((resolve) => waiting.set(idempotencyKey, resolve));
      await acceptor.accept({
        tenant: BENCH_TENANT,
        sessionKey: sessionKey(session),
        idempotencyKey,
        message: MESSAGE,
        attachments: [],
        options: {},
      });
      return { ended };
    },
    async close() {
      await unsubscribe();
      await worker.drain();
      await Promise.all([queue.close(), bus.close()]);
      await pool.end();
    },
  };
}
