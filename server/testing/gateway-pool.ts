import { setImmediate as turnOver } from "node:timers/promises";
import { memoryCronStore } from "../adapters/memory/cron-store.ts";
import { memoryEventBus } from "../adapters/memory/event-bus.ts";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryRateLimiter } from "../adapters/memory/rate-limiter.ts";
import { memoryRunLedger } from "../adapters/memory/run-ledger.ts";
import { memoryRunQueue } from "../adapters/memory/run-queue.ts";
import { memorySessionStore } from "../adapters/memory/session-store.ts";
import { memoryStoreState } from "../adapters/memory/state.ts";
import { memorySubagentStore } from "../adapters/memory/subagent-store.ts";
import { memoryTenantDirectory } from "../adapters/memory/tenant-directory.ts";
import { systemClock } from "../adapters/system/clock.ts";
import type { AgentCatalog } from "../core/catalog.ts";
import { agentId, sessionKey, type TenantId, tenantId, workerId } from "../core/ids.ts";
import { type RunEventBody, runSeqOf } from "../core/run-event.ts";
import type { EndedStatus, RunError, RunResult } from "../core/run.ts";
import type { NewMessage, TranscriptRow } from "../core/transcript.ts";
import type { GatewayDeps, GatewaySettings } from "../gateway/context.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus, TenantHandlers } from "../ports/event-bus.ts";
import type { Grant } from "../ports/run-ledger.ts";
import { breakable } from "./breakable.ts";
import { recordingLogger } from "./recording-logger.ts";
import { seededRandom } from "./seeded-random.ts";
import { TEST_CATALOG } from "./test-catalog.ts";
import { until } from "./until.ts";

export const ACME = tenantId("acme");
export const OTHER = tenantId("other");
export const ACME_TOKEN = "token-of-acme";
export const OTHER_TOKEN = "token-of-other";
export const READER_TOKEN = "token-that-may-only-read";

const AGENT = {
  model: "demo/one",
  fallbacks: [],
  systemPrompt: "You are a test.",
  workspace: null,
  thinkingLevel: null,
  subagentsAllowed: [],
} as const;

const CATALOG: AgentCatalog = {
  ...TEST_CATALOG,
  agents: [
    { ...AGENT, id: agentId("main"), name: "Main" },
    { ...AGENT, id: agentId("work"), name: "Work" },
  ],
};

/** Memory stores that can be broken, with two tenants and their tokens, for gateways to be started on. */
export async function gatewayPool(options: { readonly clock?: Clock } = {}) {
  const clock = options.clock ?? systemClock;
  const random = seededRandom(11);
  const logger = recordingLogger();
  const state = memoryStoreState({ clock });
  const ledger = breakable(memoryRunLedger(state));
  const sessions = breakable(memorySessionStore(state));
  const directory = breakable(memoryTenantDirectory(state));
  const cron = memoryCronStore(state);
  const subagents = memorySubagentStore(state);
  const queue = breakable(memoryRunQueue({ clock, random, laneWidths: CATALOG.laneWidths }));
  const bus = breakable(memoryEventBus({ clock, logger }));
  /** Of the gateways: `deaf` loses what is published meanwhile, `busHealthy` is what their bus says of itself. */
  const link = { deaf: false, busHealthy: true };
  const heard = gatewayBus(bus.port, link);
  const objects = breakable(memoryObjectStore());
  const rateLimiter = memoryRateLimiter({ clock });
  const tokens: readonly (readonly [TenantId, string, readonly string[]])[] = [
    [ACME, ACME_TOKEN, ["operator.admin"]],
    [OTHER, OTHER_TOKEN, ["operator.admin"]],
    [ACME, READER_TOKEN, ["operator.read"]],
  ];
  for (const [tenant, token, scopes] of tokens) {
    await directory.port.addTenant(tenant, "shared");
    await directory.port.addToken(tenant, token, scopes, "test");
  }
  /** What a gateway on this pool is started with. */
  const deps = (settings: Partial<GatewaySettings> = {}): GatewayDeps => ({
    ledger: ledger.port,
    sessions: sessions.port,
    directory: directory.port,
    cron,
    subagents,
    queue: queue.port,
    bus: heard,
    rateLimiter,
    objects: objects.port,
    clock,
    random,
    logger,
    catalog: CATALOG,
    configView: { path: "openclaw.json", exists: true, document: { gateway: { port: 1 } }, hash: "sha256:0" },
    settings: {
      instance: "gateway-1",
      version: "0.0.0-test",
      host: "127.0.0.1",
      port: 0,
      ...settings,
      // However busy the machine, what was said is told before `say` resolves.
      limits: { restPerTelling: 0, ...settings.limits },
    },
  });

  /** Publishes while no gateway hears it, as when their subscriptions are cut; the bus's history has it. */
  const unheard = async (publish: () => Promise<void>): Promise<void> => {
    link.deaf = true;
    await publish();
    link.deaf = false;
  };

  return {
    link,
    unheard,
    clock,
    random,
    logger,
    state,
    ledger,
    sessions,
    directory,
    cron,
    subagents,
    queue,
    bus,
    objects,
    rateLimiter,

    deps,
  };
}

function gatewayBus(bus: EventBus, link: { readonly deaf: boolean; readonly busHealthy: boolean }): EventBus {
  return new Proxy(bus, {
    get(target, name, receiver) {
      if (name === "healthy") return () => link.busHealthy;
      if (name !== "subscribe") return Reflect.get(target, name, receiver) as unknown;
      return (tenant: TenantId, handlers: TenantHandlers) =>
        target.subscribe(tenant, {
          onEvents: (events) => {
            if (!link.deaf) handlers.onEvents(events);
          },
          onNotice: (notice) => handlers.onNotice(notice),
          onGap: () => handlers.onGap(),
        });
    },
  });
}

export type GatewayPool = Awaited<ReturnType<typeof gatewayPool>>;

/** One attempt of a run, executed by the test: each event and the end are its to tell, one at a time. */
export interface Hand {
  readonly grant: Grant;
  /** Publishes events with the next numbers, and lets the gateways tell them. */
  say(...bodies: readonly RunEventBody[]): Promise<void>;
  /** Leaves numbers out, as if events had been published and lost. */
  skip(events: number): void;
  /** Commits the answer, and unless `silently` tells it: the assistant's row, then the end. */
  finish(text: string, options?: { readonly silently?: boolean }): Promise<void>;
  /** Commits another end, and tells it. */
  end(status: "failed" | "aborted" | "timed_out", options?: { readonly text?: string }): Promise<void>;
}

/** A worker that the test plays. It registers as alive and claims one session at a time. */
export async function handWorker(pool: GatewayPool, name = "hand.1") {
  const worker = workerId(name);
  const ledger = pool.ledger.port;
  await ledger.registerWorker({ worker, instance: name, pools: ["shared"], slots: 100 }, "held");

  const claim = async (key: string, tenant: TenantId = ACME): Promise<Hand> => {
    const answer = await until(
      async () => {
        await ledger.heartbeat(worker, "held");
        const [claimed] = await ledger.claim(worker, [{ tenant, sessionKey: sessionKey(key) }]);
        return claimed?.kind === "granted" ? claimed : null;
      },
      { what: `a queued run of ${key}`, pollMs: 1 },
    );
    return handOf(pool, answer.grant);
  };
  return { worker, claim };
}

function handOf(pool: GatewayPool, grant: Grant): Hand {
  const { tenant, sessionKey: key, runId, agentId: agent, token, attempt } = grant;
  let n = 0;
  const say = async (...bodies: readonly RunEventBody[]): Promise<void> => {
    await pool.bus.port.publish(
      bodies.map((body) => ({
        tenant,
        sessionKey: key,
        agentId: agent,
        runId,
        token,
        runSeq: runSeqOf(attempt, ++n),
        at: pool.clock.now(),
        body,
      })),
    );
    await turnOver();
  };
  const commit = async (
    status: EndedStatus,
    result: RunResult | null,
    error: RunError | null,
    messages: readonly NewMessage[],
  ): Promise<readonly TranscriptRow[]> => {
    const [answer] = await pool.ledger.port.finish([
      { grant, status, result, error, messages, steps: [], takeNext: false },
    ]);
    if (answer?.kind !== "finished") throw new Error(`finish of ${runId} was ${answer?.kind}`);
    return answer.rows;
  };
  return {
    grant,
    say,
    skip: (events) => void (n += events),
    async finish(text, options = {}) {
      const timestamp = pool.clock.now();
      const message = { role: "assistant", content: [{ type: "text", text }], timestamp } as const;
      const usage = { input: 1, output: 2, totalTokens: 3 };
      const rows = await commit("succeeded", { text, stopReason: "stop", usage }, null, [
        { messageId: `${runId}:${attempt}:answer`, body: { inline: message } },
      ]);
      if (options.silently) return;
      const told = rows.map((row): RunEventBody => ({ type: "message", row }));
      await say(...told, { type: "final", text, stopReason: "stop", usage });
    },
    async end(status, { text = "" } = {}) {
      const error = status === "failed" ? { kind: "model_auth", message: "the model refused the key" } : null;
      await commit(status, status === "failed" ? null : { text, stopReason: status }, error, []);
      if (error) await say({ type: "error", error });
      else await say({ type: "aborted", text, reason: status === "timed_out" ? "timeout" : "aborted" });
    },
  };
}
