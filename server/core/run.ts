import type { AgentId, RunId, SessionKey, TenantId, WorkerId } from "./ids.ts";
import type { Lane } from "./lane.ts";
import type { StoredBody, Usage } from "./transcript.ts";

/**
 * - `queued`     acknowledged, waits for its turn in the session
 * - `running`    a worker holds the session's lease for it
 * - `succeeded`  answered
 * - `failed`     ended by an error that a retry would not heal (the model refused, bad configuration…)
 * - `timed_out`  ended by its own deadline
 * - `aborted`    ended by a user
 * - `dead`       took its workers down `MAX_FAILURES` times in a row without progress, or `MAX_LOSSES` times in all; can be
 *                redriven
 */
export type RunStatus = "queued" | "running" | "succeeded" | "failed" | "timed_out" | "aborted" | "dead";
export type EndedStatus = Exclude<RunStatus, "queued" | "running">;

/** Attempts lost without a new checkpoint after which a run is `dead`. */
export const MAX_FAILURES = 3;

/**
 * Attempts lost in all after which a run is `dead`, whatever progress it made in between: a tool that kills its process
 * after each answer of the model would else take one worker down per step. The functions of migrate/sql know it as three
 * times the failures that they are given.
 */
export const MAX_LOSSES = 3 * MAX_FAILURES;

/**
 * Larger than every token granted for the session before it; every write of a run carries it.
 * A bigint in Postgres, a safe integer here (2^53 grants of one session are out of reach).
 */
export type FencingToken = number;

/** How a model is to write its answer, where its provider knows the setting. */
export interface Sampling {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly stop?: readonly string[];
  /** OpenAI's `response_format`. */
  readonly responseFormat?: Readonly<Record<string, unknown>>;
}

/** What the client asked for, apart from the text. Unknown to the ledger, read by the worker. */
export interface RunOptions {
  readonly model?: string;
  readonly thinking?: string;
  /** Deadline of the whole run in milliseconds from its first claim; absent: the pool's default. */
  readonly timeoutMs?: number;
  /** The run compacts its session and answers nothing (core/compaction.ts). */
  readonly compact?: { readonly instructions: string };
  /** Instructions for this run alone, after those of the agent. */
  readonly extraSystemPrompt?: string;
  readonly sampling?: Sampling;
  /** The connection that asked, for `tool` events (protocol.md 4). */
  readonly requesterConnId?: string;
  /** Client id of that connection, named where messages are collected: `openclaw-tui`. */
  readonly sender?: string;
  /** W3C `traceparent` under which the run's execution is traced. */
  readonly traceparent?: string;
}

/** How a run ended, as it is stored and as `send --json`, `agent` and `agent.wait` report it. */
export interface RunResult {
  /** Text of the last assistant message: exactly what the deltas since the last replace add up to. */
  readonly text: string;
  /** `stop`, `length`, `toolUse`, `error`, `aborted`, `timeout`; `steered` and `collected` with `mergedInto`. */
  readonly stopReason: string;
  /** The run in whose turn this run's message is answered: it has no turn and no text of its own. */
  readonly mergedInto?: RunId;
  readonly usage?: Usage;
  /** Estimated tokens of the session's context at the end of the run. */
  readonly contextTokens?: number;
  /** What became of a compaction by command. */
  readonly compaction?: CompactionResult;
  readonly model?: { readonly provider: string; readonly model: string };
}

/** As `sessions.compact` answers. */
export interface CompactionResult {
  readonly compacted: boolean;
  /** Why nothing was compacted. */
  readonly reason?: string;
  readonly tokensBefore?: number;
  readonly tokensAfter?: number;
}

export interface RunError {
  /** For programs: `model_unavailable`, `model_auth`, `worker_lost`, `timeout`, … */
  readonly kind: string;
  /** For people; names the thing and the next step. No secret. */
  readonly message: string;
}

/** One row of `runs`, without its input. Times are the store's clock in epoch milliseconds. */
export interface RunRecord {
  readonly tenant: TenantId;
  readonly runId: RunId;
  readonly sessionKey: SessionKey;
  readonly sessionId: string;
  readonly agentId: AgentId;
  readonly lane: Lane;
  readonly status: RunStatus;
  /** Grants so far; 0 while it has never been claimed. Numbers the events (run-event.ts). */
  readonly attempt: number;
  /** Attempts lost in a row without progress; at MAX_FAILURES the run is dead. */
  readonly failures: number;
  readonly worker: WorkerId | null;
  readonly acceptedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly abortRequested: boolean;
  readonly result: RunResult | null;
  readonly error: RunError | null;
}

/** The user's message as it will stand in the transcript, and the options beside it. */
export interface RunInput {
  readonly body: StoredBody;
  readonly options: RunOptions;
}
