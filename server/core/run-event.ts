import type { AgentId, RunId, SessionKey, TenantId } from "./ids.ts";
import type { FencingToken, RunError, RunRecord } from "./run.ts";
import type { TranscriptRow, Usage } from "./transcript.ts";

/** Numbers of one attempt: `runSeq = (attempt - 1) * ATTEMPT_STRIDE + n`, n from 1 without gaps. */
export const ATTEMPT_STRIDE = 2 ** 20;

export const runSeqOf = (attempt: number, n: number): number =>
  (Math.max(attempt, 1) - 1) * ATTEMPT_STRIDE + n;
export const attemptOfRunSeq = (runSeq: number): number => Math.floor((runSeq - 1) / ATTEMPT_STRIDE) + 1;
/** The n of a runSeq: its place within the attempt, from 1. */
export const placeOfRunSeq = (runSeq: number): number => ((runSeq - 1) % ATTEMPT_STRIDE) + 1;

/**
 * What happened in a run. A follower keeps one text: `started` and `replace` set it, `delta` appends to it,
 * and at `final` it equals the final text.
 */
export type RunEventBody =
  /** First event of every attempt. `text` is the whole text as it now stands: empty but for a resumed answer. */
  | { readonly type: "started"; readonly text: string; readonly model?: ModelName }
  /** The whole text as it now stands: at a new assistant message, after a gap, and every few hundred events. */
  | { readonly type: "replace"; readonly text: string }
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "thinking"; readonly text: string }
  | {
      readonly type: "tool";
      readonly phase: "start" | "update" | "result";
      readonly toolCallId: string;
      readonly name: string;
      readonly args?: unknown;
      readonly result?: unknown;
      readonly isError?: boolean;
    }
  /** A transcript row was committed. */
  | { readonly type: "message"; readonly row: TranscriptRow }
  | { readonly type: "usage"; readonly usage: Usage }
  /** The context is being summarised; `completed` at the end says whether it was. */
  | { readonly type: "compaction"; readonly phase: "start" | "end"; readonly completed?: boolean }
  /** The three ends; a run has exactly one, and only after its commit. */
  | {
      readonly type: "final";
      readonly text: string;
      readonly stopReason: string;
      readonly usage?: Usage;
      /** Only where no model ran: this is the run's one event, and these are its rows, the question's first. */
      readonly rows?: readonly TranscriptRow[];
      /** The message is answered by that run (RunResult); this end is the run's only event, and empty. */
      readonly mergedInto?: RunId;
    }
  | { readonly type: "aborted"; readonly text: string; readonly reason: string }
  | { readonly type: "error"; readonly error: RunError };

export interface ModelName {
  readonly provider: string;
  readonly model: string;
}

export interface RunEvent {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly agentId: AgentId;
  readonly runId: RunId;
  /** Followers and stores drop events of a smaller token than the newest they have seen of the session. */
  readonly token: FencingToken;
  readonly runSeq: number;
  /** Writer's clock, epoch milliseconds; for display only. */
  readonly at: number;
  readonly body: RunEventBody;
}

export const isTerminalEvent = (body: RunEventBody): boolean =>
  body.type === "final" || body.type === "aborted" || body.type === "error";

/** The end of a run that was aborted while no worker had it: the first event of the attempt that it never had. */
export const abortedEvent = (run: RunRecord, token: FencingToken, at: number, text = ""): RunEvent => ({
  tenant: run.tenant,
  sessionKey: run.sessionKey,
  agentId: run.agentId,
  runId: run.runId,
  token,
  runSeq: runSeqOf(run.attempt + 1, 1),
  at,
  body: { type: "aborted", text, reason: "rpc" },
});

/** Something of a tenant that changed outside a run; not stored, so a reader that misses it reads the store. */
export type Notice =
  | {
      readonly type: "session";
      readonly reason: "create" | "patch" | "reset" | "delete" | "message" | "send";
      readonly sessionKey: SessionKey;
    }
  /** A row that no run wrote was appended (`chat.inject`). */
  | {
      readonly type: "injected";
      readonly sessionKey: SessionKey;
      readonly agentId: AgentId;
      readonly row: TranscriptRow;
    }
  | { readonly type: "presence" }
  | CronNotice;

/** A cron job was changed, or one of its runs began or ended; beside `type` it is the `cron` event of the wire. */
export interface CronNotice {
  readonly type: "cron";
  readonly action: "added" | "updated" | "removed" | "started" | "finished";
  readonly jobId: string;
  readonly runId?: string;
  readonly sessionKey?: SessionKey;
  readonly status?: "ok" | "error" | "skipped";
  readonly error?: string;
  readonly summary?: string;
  readonly runAtMs?: number;
  readonly durationMs?: number;
  readonly nextRunAtMs?: number;
}

/** Sent to one worker: this run has an abort mark. It is seen at the next checkpoint or heartbeat without it. */
export interface WorkerSignal {
  readonly type: "abort";
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly runId: RunId;
}
