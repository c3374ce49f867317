import { onTestFinished } from "vitest";
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
import { type Script, scriptedAgentRuntime } from "../adapters/scripted-agent/agent-runtime.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { agentId, type RunId, runId, sessionKey, tenantId } from "../core/ids.ts";
import type { QueueMode } from "../core/queue-mode.ts";
import type { RunEvent } from "../core/run-event.ts";
import { isEnded } from "../core/run-state.ts";
import type { RunOptions, RunRecord } from "../core/run.ts";
import { messageText, type StoredBody } from "../core/transcript.ts";
import type { Clock } from "../ports/clock.ts";
import { inProcessKeeper, ledgerHeartbeatLink } from "../worker/keep-lease.ts";
import { startWorker, type WorkerDeps, type WorkerHandle } from "../worker/main.ts";
import { breakable } from "./breakable.ts";
import { recordingLogger } from "./recording-logger.ts";
import { seededRandom } from "./seeded-random.ts";
import { AGENT, TEST_CATALOG } from "./test-catalog.ts";
import { until } from "./until.ts";

export const TENANT = tenantId("acme");
export const SESSION = sessionKey("agent:main:main");

/** Memory stores that can be broken, workers on them with scripted agents, and a follower that hears everything. */
export async function memoryPool(options: { readonly script?: Script; readonly clock?: Clock } = {}) {
  const clock = options.clock ?? systemClock;
  const random = seededRandom(7);
  const logger = recordingLogger();
  const state = memoryStoreState({ clock });
  const realLedger = memoryRunLedger(state);
  const ledger = breakable(realLedger);
  const sessions = breakable(memorySessionStore(state));
  const queue = breakable(memoryRunQueue({ clock, random, laneWidths: TEST_CATALOG.laneWidths }));
  const bus = breakable(memoryEventBus({ clock, logger }));
  const objects = breakable(memoryObjectStore());
  const rateLimiter = memoryRateLimiter({ clock });
  const cron = memoryCronStore(state);
  const subagents = memorySubagentStore(state);
  const directory = memoryTenantDirectory(state);
  await directory.addTenant(TENANT, "shared");

  const events: RunEvent[] = [];
  await bus.port.subscribe(TENANT, {
    onEvents: (heard) => void events.push(...heard),
    onNotice: () => {},
    onGap: () => {},
  });
  let workers = 0;

  const start = async (overrides: Partial<WorkerDeps> = {}): Promise<WorkerHandle> => {
    const handle = await startWorker({
      ledger: ledger.port,
      sessions: sessions.port,
      queue: queue.port,
      bus: bus.port,
      objects: objects.port,
      vault: { credential: () => Promise.resolve(null) },
      rateLimiter,
      clock,
      random,
      logger,
      catalog: TEST_CATALOG,
      runtime: scriptedAgentRuntime({ clock, script: options.script }),
      keepLease: inProcessKeeper({ link: () => ledgerHeartbeatLink(realLedger), clock, random }),
      instance: `worker-${++workers}`,
      pools: ["shared"],
      slots: 8,
      backUpSweep: false,
      ...overrides,
    });
    onTestFinished(() => handle.close());
    return handle;
  };

  /** A worker that has registered. */
  const worker = async (overrides: Partial<WorkerDeps> = {}): Promise<WorkerHandle> => {
    const handle = await start(overrides);
    await handle.registered();
    return handle;
  };

  /** Accepts a message and wakes a worker, as a gateway does. */
  const send = async (
    text: string,
    run: string,
    more: {
      readonly session?: string;
      readonly agent?: string;
      readonly body?: StoredBody;
      readonly timeoutMs?: number;
      readonly queueMode?: QueueMode;
      readonly options?: RunOptions;
    } = {},
  ): Promise<RunId> => {
    const id = runId(run);
    const [answer] = await realLedger.accept([
      {
        tenant: TENANT,
        runId: id,
        sessionKey: sessionKey(more.session ?? SESSION),
        agentId: agentId(more.agent ?? AGENT),
        lane: "main",
        requestHash: text,
        input: {
          body: more.body ?? { inline: { role: "user", content: text, timestamp: clock.now() } },
          options: {
            ...more.options,
            ...(more.timeoutMs === undefined ? {} : { timeoutMs: more.timeoutMs }),
          },
        },
        newSessionId: random.uuid(),
        queueMode: more.queueMode,
      },
    ]);
    if (answer?.kind === "new" && answer.ready) await queue.port.enqueue([answer.ready]).catch(() => {});
    return id;
  };

  const ended = (id: RunId): Promise<RunRecord> =>
    until(
      async () => {
        const run = await realLedger.get(TENANT, id);
        return run !== null && isEnded(run.status) ? run : null;
      },
      { pollMs: 5, what: `the end of ${id}` },
    );

  /** The events of a run up to its end, once it has been told. */
  const story = (id: RunId): Promise<RunEvent[]> =>
    until(
      () => {
        const mine = events.filter((event) => event.runId === id);
        const last = mine.at(-1)?.body.type;
        return last === "final" || last === "aborted" || last === "error" ? mine : null;
      },
      { pollMs: 5, what: `the last event of ${id}` },
    );

  /** Roles and texts of a session's transcript. */
  const transcript = async (session: string = SESSION): Promise<string[]> => {
    const { rows } = await sessions.port.history(TENANT, sessionKey(session), { limit: 1_000 });
    return rows.map(({ body }) =>
      "inline" in body
        ? `${body.inline.role}: ${messageText(body.inline)}`
        : `object of ${body.object.bytes} bytes`,
    );
  };

  return {
    clock,
    random,
    logger,
    realLedger,
    cron,
    subagents,
    directory,
    ledger,
    sessions,
    queue,
    bus,
    objects,
    events,
    start,
    worker,
    send,
    ended,
    story,
    transcript,
  };
}

/** What a follower shows who has heard these events of one run. */
export function textOf(events: readonly RunEvent[]): string {
  let text = "";
  for (const { body } of events) {
    if (body.type === "started" || body.type === "replace") text = body.text;
    else if (body.type === "delta") text += body.text;
  }
  return text;
}
