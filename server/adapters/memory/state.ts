import { HAError } from "../../core/errors.ts";
import type { AgentId, RunId, SessionKey, TenantId, WorkerId } from "../../core/ids.ts";
import type { Lane } from "../../core/lane.ts";
import type { QueueMode } from "../../core/queue-mode.ts";
import type { FencingToken, RunError, RunInput, RunResult, RunStatus } from "../../core/run.ts";
import type { StoredBody, TranscriptRow } from "../../core/transcript.ts";
import type { LimitSettings } from "../../core/tenant-limits.ts";
import type { Clock } from "../../ports/clock.ts";
import type { SteeredRun, Step } from "../../ports/run-ledger.ts";
import type { Segment } from "../../ports/session-store.ts";
import type { StoredSubagent } from "./subagents.ts";

/** What authenticates one token; the token itself is not kept. */
export interface StoredToken {
  readonly tenant: TenantId;
  readonly scopes: readonly string[];
  readonly label: string;
  readonly createdAt: number;
  revokedAt: number | null;
}

/** A transcript row; its body is null once it has been sealed into a segment. */
export type StoredRow = Omit<TranscriptRow, "body"> & { body: StoredBody | null };

export interface StoredRun {
  readonly tenant: TenantId;
  readonly runId: RunId;
  readonly sessionKey: SessionKey;
  readonly sessionId: string;
  readonly agentId: AgentId;
  readonly lane: Lane;
  readonly requestHash: string;
  readonly queueMode: QueueMode;
  input: RunInput;
  readonly acceptedAt: number;
  status: RunStatus;
  attempt: number;
  /** Attempts lost in a row without progress. */
  failures: number;
  /** Attempts lost in all. */
  losses: number;
  worker: WorkerId | null;
  startedAt: number | null;
  endedAt: number | null;
  abortRequested: boolean;
  result: RunResult | null;
  error: RunError | null;
  /** By stepNo: a step that is sent again replaces nothing. */
  readonly steps: Map<number, Step & { readonly at: number }>;
  /** Its row in the transcript; null until the first claim, and again after a redrive. */
  userMessageId: string | null;
  /** Which grant ended it and what came after, so that a repeated `finish` is answered alike. */
  finished: { readonly token: FencingToken; readonly next: FencingToken | null } | null;
  /** Runs whose texts are part of its message since its first grant. */
  collected: readonly RunId[];
}

/** Who executes which run of the session now. */
export interface StoredLease {
  readonly worker: WorkerId;
  readonly run: StoredRun;
  readonly token: FencingToken;
  /** Highest checkpoint of this grant. */
  checkpointNo: number;
  /** What joined with which checkpoint, so that a repeated one is answered alike. */
  readonly steered: Map<number, readonly SteeredRun[]>;
}

export interface StoredSession {
  readonly tenant: TenantId;
  readonly key: SessionKey;
  readonly sessionId: string;
  readonly agentId: AgentId;
  readonly createdAt: number;
  readonly createdVia: string;
  spawnedBy: SessionKey | null;
  spawnDepth: number;
  updatedAt: number;
  lifecycleRevision: number;
  resetSeq: number;
  label: string | null;
  model: string | null;
  thinkingLevel: string | null;
  verboseLevel: string | null;
  queueMode: string | null;
  archived: boolean;
  pinned: boolean;
  readSeq: number;
  markedUnreadAt: number | null;
  inputTokens: number;
  outputTokens: number;
  contextTokens: number | null;
  lastMessagePreview: string | null;
  derivedTitle: string | null;
  lastRunId: RunId | null;
  /** Highest seq of an earlier session of this key that was deleted; 0 where there was none. */
  readonly baseSeq: number;
  /** The row with seq n is `rows[n - baseSeq - 1]`. */
  readonly rows: StoredRow[];
  readonly rowsById: Map<string, StoredRow>;
  /** In order and without a gap from the first row on: what `seal` has moved away. */
  readonly segments: Segment[];
  /** Queued runs, the next one first. */
  readonly queue: StoredRun[];
  lease: StoredLease | null;
  /** Newest token given for the session; 0 before the first. */
  token: FencingToken;
  /** Set exactly while the session is in `state.ready`. `no` grows from session to session. */
  ready: { readonly no: number; readonly since: number } | null;
}

export interface StoredWorker {
  readonly worker: WorkerId;
  instance: string;
  pools: readonly string[];
  slots: number;
  readonly startedAt: number;
  heartbeatAt: number;
  /** When it was declared dead or retired. */
  endedAt: number | null;
  /** Sessions whose lease it has. */
  readonly held: Set<StoredSession>;
}

export interface StoredTenant {
  readonly id: TenantId;
  pool: string;
  disabled: boolean;
  /** What is said of it; `limitsOf` has the defaults in it. */
  limits: LimitSettings;
  /** Bytes that it kept when they were measured; null before. */
  measured: { readonly bytes: number; readonly at: number } | null;
  readonly createdAt: number;
  readonly sessions: Map<SessionKey, StoredSession>;
  /** Where the transcripts of deleted sessions ended: whatever is late and meant for them must fit no later session. */
  readonly endedSeqs: Map<SessionKey, number>;
  /** In the order of acceptance. Also the idempotency records: a run stays when its session is deleted. */
  readonly runs: Map<RunId, StoredRun>;
}

/**
 * The tables of the in-memory stores: what the PostgreSQL adapters share through the database, the memory ledger,
 * session store and directory share through this. One tenant's rows hang under that tenant, so no look-up can
 * cross over. Every port method changes it synchronously, within one turn of the event loop: that is its transaction.
 */
export interface MemoryStoreState {
  /** The store's clock, epoch milliseconds. */
  now(): number;
  readonly tenants: Map<TenantId, StoredTenant>;
  /** By the SHA-256 of the token, hex. */
  readonly tokens: Map<string, StoredToken>;
  /** Ids that are not given out again. */
  readonly removedTenants: Set<TenantId>;
  /** Limits of all tenants of which nothing else is said. */
  defaultLimits: LimitSettings;
  readonly sharedSecrets: Map<string, Uint8Array>;
  readonly workers: Map<WorkerId, StoredWorker>;
  /** Ready sessions, the one that has waited longest first. */
  readonly ready: Set<StoredSession>;
  /** In the order of their spawns. */
  readonly subagents: StoredSubagent[];
  /** A larger token than every one before it, of any session: so tokens grow even over delete and create. */
  nextToken(): FencingToken;
  nextReadyNo(): number;
}

/** Empty tables. Give the same value to the ledger, the session store and the directory. */
export function memoryStoreState(deps: { readonly clock: Pick<Clock, "now"> }): MemoryStoreState {
  let token = 0;
  let readyNo = 0;
  return {
    now: () => deps.clock.now(),
    tenants: new Map(),
    tokens: new Map(),
    removedTenants: new Set(),
    defaultLimits: {},
    sharedSecrets: new Map(),
    workers: new Map(),
    ready: new Set(),
    subagents: [],
    nextToken: () => ++token,
    nextReadyNo: () => ++readyNo,
  };
}

/** @throws HAError NOT_FOUND */
export function tenantOf(state: MemoryStoreState, id: TenantId): StoredTenant {
  const tenant = state.tenants.get(id);
  if (!tenant) throw new HAError("NOT_FOUND", `there is no tenant ${id}`, { tenant: id });
  return tenant;
}

export const findSession = (
  state: MemoryStoreState,
  tenant: TenantId,
  key: SessionKey,
): StoredSession | undefined => state.tenants.get(tenant)?.sessions.get(key);

export const findRun = (state: MemoryStoreState, tenant: TenantId, run: RunId): StoredRun | undefined =>
  state.tenants.get(tenant)?.runs.get(run);
