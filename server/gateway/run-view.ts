import type { AgentId, RunId, SessionKey, TenantId } from "../core/ids.ts";
import type { EndedStatus, RunError, RunRecord } from "../core/run.ts";
import {
  ATTEMPT_STRIDE,
  attemptOfRunSeq,
  type ModelName,
  type RunEvent,
  type RunEventBody,
  runSeqOf,
} from "../core/run-event.ts";
import type { TranscriptRow, Usage } from "../core/transcript.ts";

/** How a run ended, from its terminal event or from its row: both tell the same. */
export interface RunEnd {
  readonly status: EndedStatus;
  readonly text: string;
  readonly stopReason: string;
  readonly usage?: Usage;
  readonly model?: ModelName;
  readonly error?: RunError;
  /** Where the run was answered without a model: its rows, which nothing else tells. */
  readonly rows?: readonly TranscriptRow[];
  /** The message was answered in the turn of that run; there is nothing to tell of this one but its end. */
  readonly mergedInto?: RunId;
  readonly runSeq: number;
  readonly sessionId?: string;
  readonly startedAt?: number;
  readonly endedAt: number;
}

/** What to do with an event: `gap` means that events before it have not arrived. */
export type Verdict = "apply" | "drop" | "gap";

/**
 * What one gateway knows of one run that is not over: the text as followers see it and how far its events have come.
 * It has no clock and sends nothing; the hub moves it and tells the connections.
 */
export class RunView {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly agentId: AgentId;
  readonly runId: RunId;
  /** Newest fencing token seen; events of a smaller one come from a holder that has been replaced. */
  token = 0;
  lastRunSeq = 0;
  text = "";
  /** How many characters of `text` the connections have been told. */
  told = 0;
  /** What was told is no longer the beginning of `text`: the next delta must say so. */
  retold = false;
  /** Events before the last one are missing and cannot be had: `text` is not known until the next whole text. */
  blind = false;
  /** The start of the run has been told. */
  begun = false;
  sessionId: string | undefined;
  model: ModelName | undefined;
  startedAt: number | undefined;
  usage: Usage | undefined;
  ended = false;

  constructor(run: Pick<RunView, "tenant" | "sessionKey" | "agentId" | "runId">) {
    this.tenant = run.tenant;
    this.sessionKey = run.sessionKey;
    this.agentId = run.agentId;
    this.runId = run.runId;
  }

  /**
   * Judges an event against what is known. Numbers are gap-free within an attempt, and the first event of a later
   * attempt carries the whole text, so nothing of the attempt before it has to be waited for.
   */
  judge(event: RunEvent): Verdict {
    if (this.ended || event.token < this.token || event.runSeq <= this.lastRunSeq) return "drop";
    const attempt = attemptOfRunSeq(event.runSeq);
    const attemptSoFar = this.lastRunSeq === 0 ? 0 : attemptOfRunSeq(this.lastRunSeq);
    const expected = attempt > attemptSoFar ? runSeqOf(attempt, 1) : this.lastRunSeq + 1;
    return event.runSeq === expected ? "apply" : "gap";
  }

  /** Takes an event in. Call it for events judged `apply`, or, once nothing before them can be had, `gap`. */
  absorb(event: RunEvent): void {
    const missed = this.judge(event) === "gap";
    this.token = Math.max(this.token, event.token);
    this.lastRunSeq = event.runSeq;
    if (missed) this.blind = true;
    const { body } = event;
    if (body.type === "started") {
      this.startedAt ??= event.at;
      this.model = body.model ?? this.model;
    } else if (body.type === "usage") {
      this.usage = body.usage;
    }
    if (body.type === "started" || body.type === "replace") this.setText(body.text);
    else if (body.type === "delta" && !this.blind) this.text += body.text;
    else if (body.type === "final" || body.type === "aborted") this.setText(body.text);
  }

  /** The whole text as it now stands; what was told stays told as far as the new text begins with it. */
  setText(text: string): void {
    this.blind = false;
    if (!text.startsWith(this.text.slice(0, this.told))) {
      this.retold = true;
      this.told = 0;
    }
    this.text = text;
  }

  /** A text that nobody has been told piece by piece, as after catching up with a run under way. */
  get untold(): boolean {
    return this.retold || this.told < this.text.length;
  }
}

/** The end that a terminal event tells of; null for any other event. */
export function endOfEvent(view: RunView, event: RunEvent): RunEnd | null {
  const end = endOfBody(event.body);
  if (end === null) return null;
  return {
    text: view.text,
    ...end,
    ...(end.usage === undefined && view.usage !== undefined ? { usage: view.usage } : {}),
    model: view.model,
    runSeq: event.runSeq,
    sessionId: view.sessionId,
    startedAt: view.startedAt,
    endedAt: event.at,
  };
}

function endOfBody(
  body: RunEventBody,
): Pick<RunEnd, "status" | "stopReason" | "usage" | "error" | "rows" | "mergedInto"> | null {
  switch (body.type) {
    case "final": {
      const { stopReason, usage, rows, mergedInto } = body;
      return { status: "succeeded", stopReason, usage, rows, mergedInto };
    }
    case "aborted": {
      const timedOut = body.reason === "timeout";
      return { status: timedOut ? "timed_out" : "aborted", stopReason: timedOut ? "timeout" : "rpc" };
    }
    case "error": {
      const timedOut = body.error.kind === "timeout";
      return {
        status: timedOut ? "timed_out" : "failed",
        stopReason: timedOut ? "timeout" : "error",
        error: body.error,
      };
    }
    case "started":
    case "replace":
    case "delta":
    case "thinking":
    case "tool":
    case "message":
    case "usage":
    case "compaction":
      return null;
    default:
      return body satisfies never;
  }
}

/**
 * The end that a run's row tells of. Its number is the last one of the attempt: larger than that of the terminal
 * event, which may have been lost, and smaller than all of a later attempt.
 */
export function endOfRecord(run: RunRecord & { readonly status: EndedStatus }): RunEnd {
  return {
    status: run.status,
    text: run.result?.text ?? "",
    stopReason: STOP_REASONS[run.status] ?? run.result?.stopReason ?? "stop",
    usage: run.result?.usage,
    model: run.result?.model,
    error: run.error ?? undefined,
    mergedInto: run.result?.mergedInto,
    runSeq: Math.max(run.attempt, 1) * ATTEMPT_STRIDE,
    sessionId: run.sessionId,
    startedAt: run.startedAt ?? undefined,
    endedAt: run.endedAt ?? run.acceptedAt,
  };
}

/** On the wire an abort by request is `rpc`, whatever the stored result calls it. */
const STOP_REASONS: Readonly<Record<EndedStatus, string | null>> = {
  succeeded: null,
  failed: "error",
  dead: "error",
  timed_out: "timeout",
  aborted: "rpc",
};
