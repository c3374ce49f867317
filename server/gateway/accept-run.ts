import { createHash } from "node:crypto";
import { batcher } from "../core/batcher.ts";
import { findAgent, findModel, type AgentCatalog } from "../core/catalog.ts";
import { laneOfSession } from "../core/lane.ts";
import { HAError } from "../core/errors.ts";
import { type AgentId, runId as asRunId, type SessionKey, type TenantId } from "../core/ids.ts";
import type { RunOptions, RunRecord } from "../core/run.ts";
import { agentOfSessionKey, canonicalSessionKey } from "../core/session-key.ts";
import type { ContentBlock, TranscriptMessage } from "../core/transcript.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { AcceptAnswer, AcceptRequest, RunLedger } from "../ports/run-ledger.ts";
import type { ReadySession, RunQueue } from "../ports/run-queue.ts";
import type { Bodies } from "./bodies.ts";
import { requestConflict, unknownAgent } from "./protocol/errors.ts";
import type { GatewayLimits } from "./protocol/limits.ts";
import { backlogGuard } from "./rate-limit.ts";

/** An attachment that has been read and found acceptable. */
export interface Attachment {
  /** SHA-256 hex of its bytes. */
  readonly sha256: string;
  readonly block: ContentBlock;
}

/** One message that a client wants to be answered. */
export interface SendRequest {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly idempotencyKey: string;
  readonly message: string;
  readonly attachments: readonly Attachment[];
  readonly options: RunOptions;
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
  readonly queue: RunQueue;
  readonly bodies: Bodies;
  readonly catalog: AgentCatalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: GatewayLimits;
}

const OVERLOAD_RETRY_MS = 1_000;

export function runAcceptor(deps: RunAcceptorDeps): RunAcceptor {
  const { ledger, queue, bodies, catalog, clock, random, logger, limits } = deps;
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

  const accept = async (request: SendRequest): Promise<AcceptedRun> => {
    const { tenant, sessionKey, options } = request;
    const runId = asRunId(request.idempotencyKey);
    const agentId = knownAgent(catalog, sessionKey);
    if (options.model !== undefined && !findModel(catalog, options.model)) throw unknownModel(options.model);
    if (backlog.over(tenant)) {
      throw overloaded("too many sessions of this tenant wait already", { reason: "tenant-backlog" });
    }
    const size = sizeOf(request);
    if (size > limits.messageBytes) throw tooLarge(size, limits.messageBytes);
    if (bytesWaiting + size > limits.acceptBytes) throw overloaded("too much waits to be stored", {});
    bytesWaiting += size;
    try {
      const body = await bodies.store(tenant, userMessage(request, clock.now()));
      return settle(
        await accepts.submit({
          tenant,
          runId,
          sessionKey,
          agentId,
          lane: laneOfSession(sessionKey),
          requestHash: requestHash(request),
          input: { body, options },
          newSessionId: random.uuid(),
        }),
      );
    } finally {
      bytesWaiting -= size;
    }
  };

  const settle = (answer: AcceptAnswer): AcceptedRun => {
    switch (answer.kind) {
      case "new":
        if (answer.ready) void during(enqueue(answer.ready));
        return { run: answer.run, made: true };
      case "existing":
        return { run: answer.run, made: false };
      case "conflict":
        throw requestConflict();
      case "refused":
        if (answer.reason === "session-queue-full") {
          throw overloaded("too many messages of this session wait already", { reason: answer.reason });
        }
        throw new HAError("FORBIDDEN", "this tenant is disabled", { reason: answer.reason });
      default:
        return answer satisfies never;
    }
  };

  return {
    accept: (request) => during(accept(request)),
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

/** Bytes of UTF-8 that a send holds in memory until it is stored. */
function sizeOf({ message, attachments }: SendRequest): number {
  let size = Buffer.byteLength(message);
  for (const { block } of attachments) {
    if (block.type === "image") size += block.data.length;
    else if (block.type === "text") size += Buffer.byteLength(block.text);
  }
  return size;
}

const tooLarge = (size: number, limit: number): HAError =>
  new HAError("REQUEST_INVALID", `message too large: ${size} bytes, at most ${limit}`, { limit });

function userMessage(request: SendRequest, timestamp: number): TranscriptMessage {
  const { message, attachments } = request;
  if (attachments.length === 0) return { role: "user", content: message, timestamp };
  const text: ContentBlock[] = message === "" ? [] : [{ type: "text", text: message }];
  return { role: "user", content: [...text, ...attachments.map(({ block }) => block)], timestamp };
}

/** What makes two requests the same: the text and the attachments. Session and tenant are compared by the ledger. */
function requestHash(request: Pick<SendRequest, "message" | "attachments">): string {
  const hash = createHash("sha256").update(request.message);
  for (const { sha256 } of request.attachments) hash.update("\0").update(sha256);
  return hash.digest("hex");
}
