import { createHash } from "node:crypto";
import { batcher } from "../core/batcher.ts";
import { findAgent, findModel, type AgentCatalog } from "../core/catalog.ts";
import { laneOfSession } from "../core/lane.ts";
import { asHAError, HAError } from "../core/errors.ts";
import {
  type AgentId,
  type RunId,
  runId as asRunId,
  type SessionKey,
  type TenantId,
  type WorkerId,
} from "../core/ids.ts";
import type { RunOptions, RunRecord } from "../core/run.ts";
import type { QueueMode } from "../core/queue-mode.ts";
import { agentOfSessionKey, canonicalSessionKey } from "../core/session-key.ts";
import { type MediaFact, mediaFields } from "../core/media.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import { limitReached, limitReason } from "../core/tenant-limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { AcceptAnswer, AcceptRequest, RunLedger } from "../ports/run-ledger.ts";
import type { ReadySession, RunQueue } from "../ports/run-queue.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { noTracing, type Tracing } from "../ports/tracing.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { Bodies } from "./bodies.ts";
import { storeAttachments } from "./store-attachments.ts";
import { requestConflict, unknownAgent } from "./protocol/errors.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { GatewayTenantLimits } from "./tenant-limits.ts";
import type { GatewayLimits } from "./protocol/limits.ts";
import { backlogGuard, refusalMemory } from "./rate-limit.ts";

/** An attachment that has been read and found acceptable. */
export interface Attachment {
  /** SHA-256 hex of its bytes. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
  readonly media: MediaFact;
}

/** One message that a client wants to be answered. */
export interface SendRequest {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly idempotencyKey: string;
  readonly message: string;
  /** The text as the client sent it, where a command in front of the message was taken off: what makes it the same. */
  readonly sent?: string;
  readonly attachments: readonly Attachment[];
  readonly options: RunOptions;
  /**
   * What the message does while its session is busy; `session`: what the session says, else the configuration. Absent: a
   * turn of its own, for those who wait for the answer to just this message.
   */
  readonly queueMode?: QueueMode | "session";
  /** W3C trace context that came with the request. */
  readonly traceparent?: string | undefined;
}

export interface AcceptedRun {
  readonly run: RunRecord;
  /** True when this request made the run; false when it named one that exists. */
  readonly made: boolean;
}

export interface RunAcceptor {
  /**
   * Makes the run durable, or finds the one that has the key. When it resolves, the run will end even if this
   * process dies now: the sweep puts a session into the queue that nobody enqueued.
   * @throws HAError REQUEST_INVALID, REQUEST_CONFLICT, OVERLOADED, STORE_UNAVAILABLE; nothing was acknowledged then
   */
  accept(request: SendRequest): Promise<AcceptedRun>;
  /** Sends that have no answer yet. */
  pending(): number;
  /** Resolves when every send so far has its answer and its session has been handed to the queue. */
  settled(): Promise<void>;
}

export interface RunAcceptorDeps {
  readonly ledger: RunLedger;
  readonly sessions: Pick<SessionStore, "noteObjects">;
  readonly objects: Pick<ObjectStore, "put">;
  readonly queue: RunQueue;
  readonly bus: Pick<EventBus, "signal">;
  readonly bodies: Bodies;
  readonly catalog: AgentCatalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: GatewayLimits;
  readonly tenantLimits: Pick<GatewayTenantLimits, "admit">;
  readonly metrics: Pick<GatewayMetrics, "limited">;
  readonly tracing?: Tracing;
}

const OVERLOAD_RETRY_MS = 1_000;

export function runAcceptor(deps: RunAcceptorDeps): RunAcceptor {
  const { ledger, queue, bus, bodies, catalog, clock, random, logger, limits } = deps;
  const { tracing = noTracing } = deps;
  const refused = refusalMemory(clock);
  const backlog = backlogGuard({ limit: limits.tenantBacklog, clock });
  const accepts = batcher<AcceptRequest, AcceptAnswer>({
    name: "accept",
    call: (batch) => ledger.accept(batch),
    maxBatch: limits.acceptBatch,
    maxWaiting: limits.acceptWaiting,
  });
  const enqueues = batcher<ReadySession, number>({
    name: "enqueue",
    call: async (batch) => (await queue.enqueue(batch)).map((answer) => answer.backlog),
    maxBatch: limits.acceptBatch,
    maxWaiting: limits.acceptWaiting,
  });
  const open = new Set<Promise<unknown>>();
  let bytesWaiting = 0;
  let queueFailing = false;

  const during = <T>(work: Promise<T>): Promise<T> => {
    const tracked = work.then(
      () => undefined,
      () => undefined,
    );
    open.add(tracked);
    void tracked.then(() => open.delete(tracked));
    return work;
  };

  // Not waited for and not an error to the client: what it hands over is in Postgres, and the sweep hands it over
  // again within a second or two. So an acknowledgement costs no round trip to Redis.
  const enqueue = async (session: ReadySession): Promise<void> => {
    try {
      backlog.observe(session.tenant, await enqueues.submit(session));
      queueFailing = false;
    } catch (error) {
      if (!queueFailing) logger.warn("gateway.enqueue.failed", { error: String(error) });
      queueFailing = true;
    }
  };

  /** The mark is in the ledger: a signal that is lost is only late. */
  const stop = (
    by: RunRecord,
    { runId, worker }: { readonly runId: RunId; readonly worker: WorkerId },
  ): void => {
    const { tenant, sessionKey } = by;
    bus.signal(worker, { type: "abort", tenant, sessionKey, runId }).catch(() => undefined);
  };

  const accept = async (request: SendRequest): Promise<AcceptedRun> => {
    const { tenant, sessionKey, options } = request;
    // A compaction joins no other turn: it takes its place in the session's order.
    const isCompaction = options.compact !== undefined;
    const queueMode = isCompaction ? undefined : request.queueMode;
    const runId = asRunId(request.idempotencyKey);
    const agentId = knownAgent(catalog, sessionKey);
    if (options.model !== undefined && !findModel(catalog, options.model)) throw unknownModel(options.model);
    if (backlog.over(tenant)) {
      throw overloaded("too many sessions of this tenant wait already", { reason: "tenant-backlog" });
    }
    const textBytes = Buffer.byteLength(request.message);
    if (textBytes > limits.messageBytes) throw tooLarge(textBytes, limits.messageBytes);
    const full = refused.reason(tenant);
    if (full !== null) throw limitReached(full);
    await deps.tenantLimits.admit(tenant);
    const size = request.attachments.reduce((sum, { bytes }) => sum + bytes.length, textBytes);
    if (bytesWaiting + size > limits.acceptBytes) throw overloaded("too much waits to be stored", {});
    bytesWaiting += size;
    try {
      await storeAttachments(deps, tenant, request.attachments);
      const body = await bodies.store(tenant, {
        ...userMessage(request, clock.now()),
        ...(isCompaction ? { excludeFromContext: true } : {}),
      });
      return settle(
        tenant,
        await accepts.submit({
          tenant,
          runId,
          sessionKey,
          agentId,
          lane: laneOfSession(sessionKey),
          requestHash: requestHash({ ...request, message: request.sent ?? request.message }),
          input: { body, options },
          queueMode: queueMode === "session" ? { orElse: catalog.queueMode } : queueMode,
          newSessionId: random.uuid(),
        }),
      );
    } finally {
      bytesWaiting -= size;
    }
  };

  /** Executing the run is traced under the span of its acceptance; where nothing is traced nothing is kept. */
  const traced = async (request: SendRequest): Promise<AcceptedRun> => {
    const { tenant, sessionKey, traceparent: parent } = request;
    const span = tracing.start({
      name: "accept run",
      kind: "server",
      parent,
      attributes: {
        "openclaw.tenant": tenant,
        "openclaw.session": sessionKey,
        "openclaw.run": request.idempotencyKey,
      },
    });
    const { traceparent } = span;
    try {
      const options = traceparent === undefined ? request.options : { ...request.options, traceparent };
      const answer = await accept({ ...request, options });
      span.set({ "openclaw.run.made": answer.made });
      span.end();
      return answer;
    } catch (error) {
      const reason = limitReason(error);
      if (reason !== null) deps.metrics.limited(reason);
      span.end(asHAError(error).code);
      throw error;
    }
  };

  const settle = (tenant: TenantId, answer: AcceptAnswer): AcceptedRun => {
    switch (answer.kind) {
      case "new":
        if (answer.ready) void during(enqueue(answer.ready));
        if (answer.interrupted) stop(answer.run, answer.interrupted);
        return { run: answer.run, made: true };
      case "existing":
        return { run: answer.run, made: false };
      case "conflict":
        throw requestConflict();
      case "refused":
        if (answer.reason === "session-queue-full") {
          throw overloaded("too many messages of this session wait already", { reason: answer.reason });
        }
        if (answer.reason !== "tenant-disabled") {
          refused.note(tenant, answer.reason);
          throw limitReached(answer.reason);
        }
        throw new HAError("FORBIDDEN", "this tenant is disabled", { reason: answer.reason });
      default:
        return answer satisfies never;
    }
  };

  return {
    accept: (request) => during(traced(request)),
    pending: () => accepts.pending(),
    settled: async () => {
      while (open.size > 0) await Promise.all(open);
    },
  };
}

const overloaded = (message: string, details: Readonly<Record<string, unknown>>): HAError =>
  new HAError("OVERLOADED", message, { ...details, retryAfterMs: OVERLOAD_RETRY_MS });

/**
 * The canonical key of what a client sent. `agentId` is the agent of a short key, and must be that of a full one.
 * @throws HAError REQUEST_INVALID for a malformed key or an agent that is not configured
 */
export function resolveSession(catalog: AgentCatalog, sent: string, agentId?: string): SessionKey {
  const agent = agentId?.trim().toLowerCase();
  if (agent !== undefined && !findAgent(catalog, agent)) throw unknownAgent(agent);
  const key = canonicalSessionKey(sent, (agent ?? catalog.defaultAgentId) as AgentId, catalog.mainKey);
  const owner = knownAgent(catalog, key);
  if (agent !== undefined && owner !== agent) {
    throw new HAError(
      "REQUEST_INVALID",
      `agentId ${JSON.stringify(agent)} does not match session key ${key}`,
    );
  }
  return key;
}

function knownAgent(catalog: AgentCatalog, key: SessionKey): AgentId {
  const agent = agentOfSessionKey(key);
  if (!findAgent(catalog, agent)) throw unknownAgent(agent);
  return agent;
}

/** @returns the error for a model that the catalog does not have, worded as OpenClaw does for providers. */
export function unknownModel(name: string): HAError {
  const provider = name.includes("/") ? name.slice(0, name.indexOf("/")) : null;
  return new HAError(
    "REQUEST_INVALID",
    provider === null
      ? `Unknown model ${JSON.stringify(name)}. Use /models to list models.`
      : `Unknown provider or model ${JSON.stringify(name)}. Use /models to list providers.`,
    { reason: "unknown-model" },
  );
}

const tooLarge = (size: number, limit: number): HAError =>
  new HAError("REQUEST_INVALID", `message too large: ${size} bytes, at most ${limit}`, {
    limit,
    httpStatus: 413,
  });

function userMessage(request: SendRequest, timestamp: number): TranscriptMessage {
  const { message, attachments } = request;
  if (attachments.length === 0) return { role: "user", content: message, timestamp };
  const media = attachments.map((attachment) => attachment.media);
  return { role: "user", content: message, timestamp, __openclaw: mediaFields(media) };
}

/**
 * What makes two requests the same: the text with the instructions beside it, and the attachments. Session and tenant
 * are compared by the ledger.
 */
export function requestHash({
  message,
  attachments,
  options,
}: Pick<SendRequest, "message" | "attachments" | "options">): string {
  const hash = createHash("sha256").update(message);
  for (const { sha256 } of attachments) hash.update("\0").update(sha256);
  if (options.extraSystemPrompt !== undefined) hash.update("\0system\0").update(options.extraSystemPrompt);
  return hash.digest("hex");
}
