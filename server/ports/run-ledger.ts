import type { AgentId, RunId, SessionKey, TenantId, WorkerId } from "../core/ids.ts";
import type { Lane, LaneWidths } from "../core/lane.ts";
import type { QueueMode } from "../core/queue-mode.ts";
import type {
  EndedStatus,
  FencingToken,
  RunError,
  RunInput,
  RunRecord,
  RunResult,
  RunStatus,
} from "../core/run.ts";
import type { LaneDemand } from "../core/scaling.ts";
import type { LimitReason } from "../core/tenant-limits.ts";
import type { SessionPatch } from "../core/session.ts";
import type { NewMessage, StoredBody, TranscriptRow } from "../core/transcript.ts";
import type { ReadySession } from "./run-queue.ts";

export interface AcceptRequest {
  readonly tenant: TenantId;
  /** The client's idempotency key. */
  readonly runId: RunId;
  readonly sessionKey: SessionKey;
  readonly agentId: AgentId;
  readonly lane: Lane;
  /** SHA-256 hex over what makes two requests the same (text, attachments). Session and tenant are compared apart. */
  readonly requestHash: string;
  readonly input: RunInput;
  /** Id of the session where it does not exist yet. */
  readonly newSessionId: string;
  /**
   * What the run does while the session is busy: a mode; or the session's own, and `orElse` where it has none. Absent:
   * `followup`. Decided now and kept with the run. A run that finds its session idle is next in any mode, and counts as
   * `followup`.
   */
  readonly queueMode?: QueueMode | { readonly orElse: QueueMode };
}

export type AcceptAnswer =
  | {
      readonly kind: "new";
      readonly run: RunRecord;
      /** Set when the session went from idle to ready: the caller puts it into the queue. */
      readonly ready: ReadySession | null;
      /** The running run that this one has marked as aborted; the caller signals its worker. */
      readonly interrupted: { readonly runId: RunId; readonly worker: WorkerId } | null;
    }
  /** Same key, same request: the same run, as it stands. */
  | { readonly kind: "existing"; readonly run: RunRecord }
  /** Same key, another text or another session. Nothing is told about the run that has the key. */
  | { readonly kind: "conflict" }
  /** Nothing was accepted; a retry may be. */
  | { readonly kind: "refused"; readonly reason: "session-queue-full" | "tenant-disabled" | LimitReason };

/** A run that was answered without a model: it is recorded when its answer is known. */
export interface AnswerRequest extends Pick<
  AcceptRequest,
  "tenant" | "runId" | "sessionKey" | "agentId" | "lane" | "requestHash" | "newSessionId"
> {
  readonly result: RunResult;
  /** Rows of the transcript: what was asked and what was answered. */
  readonly messages: readonly NewMessage[];
  /** Changes of the session that go with the answer. */
  readonly patch?: SessionPatch;
}

export type AnswerAnswer =
  /** The caller publishes the terminal event under the token given. */
  | {
      readonly kind: "new";
      readonly run: RunRecord;
      readonly token: FencingToken;
      readonly rows: readonly TranscriptRow[];
    }
  | Extract<AcceptAnswer, { readonly kind: "existing" | "conflict" }>
  | { readonly kind: "refused"; readonly reason: "tenant-disabled" };

/** Names a grant; every run-time write carries it. */
export interface GrantRef {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly runId: RunId;
  readonly token: FencingToken;
}

/** A tool call that was recorded as started and has no result yet: its outcome is unknown. */
export interface StartedTool {
  readonly toolCallId: string;
  readonly toolName: string;
  readonly idempotent: boolean;
}

/** The right to execute one run of a session, and where to resume it. */
export interface Grant extends GrantRef {
  readonly sessionId: string;
  readonly agentId: AgentId;
  readonly lane: Lane;
  readonly pool: string;
  readonly attempt: number;
  /** Attempts lost in a row without progress, before this one. */
  readonly failures: number;
  readonly input: RunInput;
  readonly acceptedAt: number;
  /** First claim of the run; its deadline counts from here. */
  readonly startedAt: number;
  /** The user row of this run in the transcript, written by the first claim. */
  readonly userRow: TranscriptRow;
  /** Highest seq of the session's transcript: a context cached at this seq needs no reading. */
  readonly headSeq: number;
  readonly resetSeq: number;
  /** Overrides of the session that the worker needs. */
  readonly sessionModel: string | null;
  readonly sessionThinking: string | null;
  /** Steps of the run recorded so far; new ones are numbered after them. */
  readonly stepsDone: number;
  /** Only on later attempts: tool calls that had started and not ended. */
  readonly startedTools: readonly StartedTool[];
  readonly abortRequested: boolean;
  /**
   * Runs that were collected into this one by this grant: their texts stand in `userRow`, and they have ended with an
   * empty result. The worker publishes their ends under the grant's token.
   */
  readonly collected: readonly RunId[];
}

export type ClaimAnswer =
  | { readonly kind: "granted"; readonly grant: Grant }
  /** A live worker holds the session; it will take the queued runs itself. */
  | { readonly kind: "busy" }
  /** Nothing queued. */
  | { readonly kind: "empty" };

/** One finished unit of work inside a run. */
export type Step =
  | { readonly kind: "model"; readonly stepNo: number }
  | {
      readonly kind: "tool_started";
      readonly stepNo: number;
      readonly toolCallId: string;
      readonly toolName: string;
      readonly idempotent: boolean;
    }
  | {
      readonly kind: "tool_result";
      readonly stepNo: number;
      readonly toolCallId: string;
      readonly isError: boolean;
    };

export interface CheckpointRequest {
  readonly grant: GrantRef;
  /** Counts the checkpoints of this grant from 1; sending the same number again changes nothing. */
  readonly checkpointNo: number;
  readonly steps: readonly Step[];
  readonly messages: readonly NewMessage[];
  /** The model is called next: queued runs of mode `steer` at the head of the session's queue join this run. */
  readonly steer?: boolean;
}

/** A run that joined another one, and its message in the transcript, as a row of the run that it joined. */
export interface SteeredRun {
  readonly runId: RunId;
  readonly row: TranscriptRow;
}

export type CheckpointAnswer =
  | {
      readonly kind: "stored";
      /** The rows of `messages`, in order, with their seq; also when the checkpoint had been stored before. */
      readonly rows: readonly TranscriptRow[];
      readonly headSeq: number;
      /** What has arrived for the run meanwhile. */
      readonly abortRequested: boolean;
      /**
       * The runs that joined with this checkpoint, in their order, behind `rows`. They have ended with an empty result;
       * the worker publishes their ends under the grant's token. Answered again as they were when it is sent again.
       */
      readonly steered: readonly SteeredRun[];
    }
  | { readonly kind: "fenced" };

export interface FinishRequest {
  readonly grant: GrantRef;
  readonly status: EndedStatus;
  readonly result: RunResult | null;
  readonly error: RunError | null;
  readonly steps: readonly Step[];
  readonly messages: readonly NewMessage[];
  /** False while the worker drains: the lease is released even where more is queued. */
  readonly takeNext: boolean;
}

export type FinishAnswer =
  | {
      readonly kind: "finished";
      readonly rows: readonly TranscriptRow[];
      readonly headSeq: number;
      /** The session's next run, granted to the same worker under a new token. */
      readonly next: Grant | null;
      /** Set when more is queued but was not taken: the caller puts the session into the queue. */
      readonly ready: ReadySession | null;
    }
  | { readonly kind: "fenced" };

export interface WorkerRegistration {
  readonly worker: WorkerId;
  /** Name of the process over its lives, as `status` prints it: `worker-1`. */
  readonly instance: string;
  readonly pools: readonly string[];
  /** Sessions it executes at once. */
  readonly slots: number;
}

/** Whether the worker holds its session advisory lock now; only then is a free lock a sign of death. */
export type LockState = "held" | "absent";

export type HeartbeatAnswer =
  /** `aborts`: runs of this worker with an abort mark, in case the signal was lost. */
  | { readonly kind: "alive"; readonly aborts: readonly GrantRef[] }
  /** Declared dead, or never registered: it holds nothing and must register under a new id. */
  | { readonly kind: "dead" };

export interface SweepReport {
  /** Workers declared dead by this sweep. */
  readonly deadWorkers: readonly { readonly worker: WorkerId; readonly pools: readonly string[] }[];
  /** Sessions that became ready because their holder died. */
  readonly readied: readonly ReadySession[];
  /** Runs that this sweep buried; the caller publishes their terminal event under the token given. */
  readonly buried: readonly { readonly run: RunRecord; readonly token: FencingToken }[];
}

/** One run, wherever it is or of this session alone; or every open run of a session. */
export type AbortTarget =
  | { readonly runId: RunId; readonly sessionKey?: SessionKey; readonly stopSubagents?: boolean }
  | {
      readonly runId?: never;
      readonly sessionKey: SessionKey;
      /**
       * The request of a reset (SessionStore.reset). Once that reset has been made nothing is aborted: what is open
       * belongs to the new history then.
       */
      readonly beforeReset?: string;
      readonly stopSubagents?: boolean;
    };

export type AbortAnswer =
  /** It was queued and has ended; the caller publishes the terminal event under the token given. */
  | { readonly kind: "aborted"; readonly run: RunRecord; readonly token: FencingToken }
  /** It is running; its worker sees the mark at the latest at its next checkpoint or heartbeat. */
  | { readonly kind: "requested"; readonly run: RunRecord; readonly worker: WorkerId }
  | { readonly kind: "ended"; readonly run: RunRecord }
  | { readonly kind: "unknown" };

/** A tool's step as it was recorded, with the time of that in epoch milliseconds. */
export type RecordedStep = Exclude<Step, { readonly kind: "model" }> & { readonly at: number };

/** A run that a worker executes now. */
export interface RunningRun {
  readonly run: RunRecord;
  /** Steps recorded so far. */
  readonly steps: number;
  /** The newest of them; null before the first: the model is asked then. */
  readonly step: {
    readonly kind: Step["kind"];
    readonly toolName: string | null;
    readonly at: number;
  } | null;
}

/** The demand of a lane, and the pool whose workers serve its tenant. */
export interface LaneBacklog extends LaneDemand {
  readonly pool: string;
}

export interface RunFilter {
  readonly sessionKey?: SessionKey;
  readonly agentId?: AgentId;
  readonly status?: readonly RunStatus[];
  /** Only runs that ended with an error of this kind. */
  readonly errorKind?: string;
  /** Only runs accepted at this moment or later, epoch milliseconds. */
  readonly since?: number;
  readonly limit: number;
  /** Only runs accepted before this one (exclusive), for paging. */
  readonly before?: RunId;
}

/** Where a paged read of ready sessions goes on. */
export interface ReadyCursor {
  readonly readySince: string;
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
}

/**
 * The durable life of runs: idempotency record, session lease, fencing token and run in one port, because deciding
 * and writing must be one statement.
 *
 * Clock: the store's, everywhere. A lease is live while its worker's row is.
 * Fencing: each grant of a session carries a larger token than every grant before it; a write with a smaller
 * one is answered `fenced` and changes nothing. Busy, empty, fenced and conflict are answers, not failures.
 * Batches are answered in the order of their requests, and each request is decided as if it came alone.
 * Every write may be repeated after an unknown outcome and answers as it did the first time.
 * @throws HAError STORE_UNAVAILABLE from every method; the caller must assume nothing about the outcome
 */
export interface RunLedger {
  /**
   * Runs of a session are executed in the order of their acknowledgement. A run of mode `interrupt` marks the session's
   * run under way as aborted, in the same write; one that is queued and has not begun is never aborted by it.
   */
  accept(batch: readonly AcceptRequest[]): Promise<AcceptAnswer[]>;
  /**
   * Records a run that has its answer already, with its rows and the change of the session: all or nothing. It takes no
   * place in the session's queue and disturbs no run under way; its key is taken as one of `accept` is.
   */
  answer(request: AnswerRequest): Promise<AnswerAnswer>;
  /**
   * Takes sessions that are free, or whose holder has been silent past its lease, at the head of their queue. A session
   * that the worker holds already is answered with the same grant again. A run that would be dead with this loss is
   * left to the sweep, which announces it: until then the answer is `busy`.
   * A run of mode `collect` takes those of the same mode behind it along (core/queue-mode.ts), here as in `claimReady`
   * and `finish`, when it is granted for the first time.
   * @throws HAError LEASE_LOST when the worker itself is dead, retired or unknown
   */
  claim(
    worker: WorkerId,
    sessions: readonly { readonly tenant: TenantId; readonly sessionKey: SessionKey }[],
  ): Promise<ClaimAnswer[]>;
  /** Without the queue: claims up to `max` ready sessions, oldest first, within each tenant's lane widths. */
  claimReady(worker: WorkerId, pools: readonly string[], max: number, widths: LaneWidths): Promise<Grant[]>;
  /**
   * Makes progress durable: new messages, a model's step or a tool's result put the count of failures back to 0. A tool
   * that only started is none, so that a run that dies in the same tool each time is buried in the end. Attempts lost in
   * all are counted on: no progress resets them, only a redrive.
   * With `steer`, up to MAX_MERGED queued runs join: those of mode `steer` from the head of the queue on, up to the
   * first of another mode, so that nothing is overtaken. None join a run that is marked as aborted.
   */
  checkpoint(batch: readonly CheckpointRequest[]): Promise<CheckpointAnswer[]>;
  finish(batch: readonly FinishRequest[]): Promise<FinishAnswer[]>;
  /** Hands runs back unfinished (drain): queued again at the head of their session, counted as no failure. */
  release(grants: readonly GrantRef[]): Promise<ReadySession[]>;

  registerWorker(registration: WorkerRegistration, lock: LockState): Promise<void>;
  heartbeat(worker: WorkerId, lock: LockState): Promise<HeartbeatAnswer>;
  /** The worker ends in an orderly way; what it still holds is readied like a dead one's, without a failure. */
  retireWorker(worker: WorkerId): Promise<ReadySession[]>;
  /** Finds what a crash left behind. Safe to call from anywhere, at any rate; concurrent calls do no harm. */
  sweep(): Promise<SweepReport>;
  /** Sessions ready for at least `olderThanMs`, oldest first, a page at a time. */
  readySessions(
    olderThanMs: number,
    limit: number,
    after?: ReadyCursor,
  ): Promise<{ sessions: ReadySession[]; next: ReadyCursor | null }>;
  /** Live workers, for reclaiming what dead consumers hold in the queue and for `status`. */
  workers(): Promise<WorkerView[]>;

  /**
   * `stopSubagents`: what the run or the session has spawned is marked as to be stopped in the same write
   * (SubagentStore.stopping).
   */
  abort(tenant: TenantId, target: AbortTarget): Promise<AbortAnswer[]>;
  /**
   * Queues an ended run again, behind what the session has queued; answers null for an unknown run. It starts anew:
   * its steps are forgotten, and its user row is written once more at the place where it now stands. It is a turn of its
   * own then, whatever its mode was; what was collected into it is part of its message.
   * @throws HAError TRANSITION_INVALID for a run that is open, succeeded or aborted
   */
  redrive(tenant: TenantId, run: RunId): Promise<{ run: RunRecord; ready: ReadySession | null } | null>;
  get(tenant: TenantId, run: RunId): Promise<RunRecord | null>;
  /** Many runs at once, across tenants: what followers poll. Unknown ones are left out. */
  getMany(runs: readonly { readonly tenant: TenantId; readonly runId: RunId }[]): Promise<RunRecord[]>;
  /** Newest first. */
  list(tenant: TenantId, filter: RunFilter): Promise<RunRecord[]>;
  /** What waits in a session, the oldest first, with the messages; `total` counts all. */
  queued(
    tenant: TenantId,
    sessionKey: SessionKey,
    limit: number,
  ): Promise<{ readonly items: readonly QueuedInput[]; readonly total: number }>;
  /** The steps of a run's tools since it was accepted or redriven, in order; nothing for an unknown run. */
  steps(tenant: TenantId, run: RunId): Promise<RecordedStep[]>;
  /** For operators: runs of all tenants that are executed now, the one that has run longest first. */
  running(limit: number): Promise<RunningRun[]>;
  /** For operators: runs of all tenants that have failed, timed out or died, the last one first. */
  failures(limit: number): Promise<RunRecord[]>;
  /**
   * For operators: the sessions of each lane of all tenants that wait and that run, the lane that has waited longest
   * first. `limit`: so many lanes.
   */
  lanes(limit: number): Promise<LaneBacklog[]>;
  /** Sums for `status` and autoscaling. */
  backlog(): Promise<{ readonly ready: number; readonly running: number; readonly oldestReadyMs: number }>;
  close(): Promise<void>;
}

/** A message whose run has not begun. */
export interface QueuedInput {
  readonly runId: RunId;
  readonly acceptedAt: number;
  readonly body: StoredBody;
}

export interface WorkerView {
  readonly worker: WorkerId;
  readonly instance: string;
  readonly pools: readonly string[];
  readonly slots: number;
  readonly running: number;
  readonly startedAt: number;
  readonly heartbeatAt: number;
}
