import { compactionId, compactionOf, type ContextEntry } from "../core/compaction.ts";
import { asHAError, HAError, isHAError } from "../core/errors.ts";
import type { RunError, RunResult } from "../core/run.ts";
import type { NewMessage, TranscriptMessage, TranscriptRow } from "../core/transcript.ts";
import { messageText } from "../core/transcript.ts";
import type { AgentIO, AgentOutcome, AgentRuntime, AgentTool, AgentTurn } from "../ports/agent-runtime.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Grant, Step } from "../ports/run-ledger.ts";
import type { SecretVault } from "../ports/secret-vault.ts";
import { AbortedByUser, type ActiveRun } from "./active-runs.ts";
import type { BodyStore } from "../bodies/body-store.ts";
import { type LedgerCalls, unlessAborted } from "./ledger-calls.ts";
import { loadEntries, type LoadedContext, messagesOf } from "./load-context.ts";
import type { MediaLoader } from "./media-loader.ts";
import type { WorkerCounters } from "./metrics.ts";
import type { TurnPlan } from "./plan-turn.ts";
import type { RunPublisher, RunStream } from "./run-publisher.ts";

/** How long after an abort the worker still waits for the agent; it promises to end within 100 ms. */
const ABORT_GRACE_MS = 1_000;

export interface AttemptDeps {
  readonly runtime: AgentRuntime;
  readonly vault: SecretVault;
  readonly tools: (grant: Grant) => readonly AgentTool[];
  readonly bodies: BodyStore;
  readonly media: MediaLoader;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: WorkerCounters;
  readonly calls: LedgerCalls;
  readonly publisher: RunPublisher;
}

/** What an attempt has made durable so far: the transcript behind the grant, as far as this worker wrote it. */
export interface Written {
  readonly entries: ContextEntry[];
  /** Position of the last row if they follow the grant's head without a gap, else null. */
  headSeq: number | null;
}

/** Puts messages into the form in which the ledger takes them; large ones go to object storage first. */
export async function newMessages(
  deps: Pick<AttemptDeps, "bodies" | "random">,
  grant: Grant,
  messages: readonly TranscriptMessage[],
): Promise<NewMessage[]> {
  return Promise.all(
    messages.map(async (message) => {
      const compaction = compactionOf(message);
      const unique = deps.random.uuid();
      return {
        messageId: compaction === null ? unique : compactionId(compaction.firstKeptSeq, unique),
        body: await deps.bodies.store(grant.tenant, message),
      };
    }),
  );
}

/** Tells followers of stored rows and keeps count of them. */
export function noteRows(
  written: Written,
  stream: RunStream,
  messages: readonly TranscriptMessage[],
  rows: readonly TranscriptRow[],
): void {
  for (const [i, row] of rows.entries()) {
    const message = messages[i];
    if (message !== undefined) written.entries.push({ seq: row.seq, messageId: row.messageId, message });
    // Somebody else's row in between (an injected message, a reset): what we know is no prefix any more.
    written.headSeq = written.headSeq !== null && row.seq === written.headSeq + 1 ? row.seq : null;
    stream.emit({ type: "message", row });
  }
}

/**
 * Runs the agent once, from the resume point to an outcome. A failure of the agent is an outcome, not an exception.
 * @throws HAError LEASE_LOST or DRAINING: there is no outcome, and nothing more may be written for this grant
 */
export async function runAttempt(
  deps: AttemptDeps,
  run: ActiveRun,
  plan: TurnPlan,
  context: LoadedContext,
  stream: RunStream,
  written: Written,
): Promise<AgentOutcome> {
  const { grant, signal } = run;
  const messages = messagesOf(context);
  const turn: AgentTurn = {
    tenant: grant.tenant,
    sessionKey: grant.sessionKey,
    runId: grant.runId,
    attempt: grant.attempt,
    agent: plan.agent,
    models: plan.models,
    thinking: plan.thinking,
    messages,
    ownFrom: messages.length - context.own.length,
    history: context.history,
    userRow: grant.userRow,
    compaction: plan.compaction,
    compact: grant.input.options.compact,
    traceparent: grant.input.options.traceparent,
    sampling: plan.sampling,
    stepsDone: grant.stepsDone,
    startedTools: grant.startedTools,
    tools: plan.models.every(takesTools) ? deps.tools(grant) : [],
  };
  const io = agentIO(deps, run, stream, written);
  let outcome: AgentOutcome;
  try {
    outcome = await endWithAbort(deps, deps.runtime.run(turn, io, signal), signal);
  } catch (error) {
    if (isHandOver(error)) throw error;
    // What was abandoned after the grace, or ended by the abort itself, ends as the abort says.
    outcome = signal.aborted ? abortOutcome(signal, stream.text()) : failure(error, stream.text());
  }
  return withPartialText(deps, outcome, lastText(context, written), stream.text());
}

/** A model that was configured not to (`compat.supportsTools: false`) refuses a request that names tools. */
const takesTools = ({ compat }: TurnPlan["models"][number]): boolean => compat?.["supportsTools"] !== false;

function agentIO(deps: AttemptDeps, run: ActiveRun, stream: RunStream, written: Written): AgentIO {
  const { grant, signal } = run;
  let checkpointNo = 0;
  // One after another, whatever the runtime does: their numbers are the order in which the ledger knows them.
  let last: Promise<unknown> = Promise.resolve();

  const checkpoint = async (
    steps: readonly Step[],
    messages: readonly TranscriptMessage[],
    steer: boolean,
  ): Promise<readonly TranscriptMessage[]> => {
    if (signal.aborted && isHandOver(signal.reason)) throw signal.reason;
    const answer = await deps.calls.checkpoint({
      grant,
      checkpointNo: ++checkpointNo,
      steps,
      messages: await newMessages(deps, grant, messages),
      steer,
    });
    if (answer.kind === "fenced") {
      deps.counters.fenced++;
      const error = new HAError("LEASE_LOST", `run ${grant.runId} has a newer holder`, {
        runId: grant.runId,
      });
      run.abort(error);
      throw error;
    }
    noteRows(written, stream, messages, answer.rows);
    if (answer.abortRequested) run.abort(new AbortedByUser());
    if (answer.steered.length === 0) return [];
    for (const { runId } of answer.steered) deps.publisher.merged(grant, runId, "steered");
    const rows = answer.steered.map((steered) => steered.row);
    const entries = await deps.calls.whileTrusted(
      () => loadEntries(deps.bodies, grant.tenant, rows, signal),
      signal,
    );
    const joined = entries.map(({ message }) => message);
    noteRows(written, stream, joined, rows);
    return joined;
  };

  return {
    emit: (body) => stream.emit(body),
    checkpoint(steps, messages, { steer } = { steer: false }) {
      const mine = last.then(() => checkpoint(steps, messages, steer));
      last = mine.catch(() => undefined);
      return mine;
    },
    withMedia: (messages, takesImages) =>
      deps.calls.whileTrusted(() => deps.media.load(grant.tenant, messages, takesImages, signal), signal),
    credential: (provider) =>
      deps.calls.whileTrusted(() => deps.vault.credential(grant.tenant, provider), signal),
  };
}

/** The agent's outcome, or an error when it has not ended some time after the abort: a stuck tool must not hold us. */
async function endWithAbort(
  { clock }: Pick<AttemptDeps, "clock">,
  running: Promise<AgentOutcome>,
  signal: AbortSignal,
): Promise<AgentOutcome> {
  const overdue = new AbortController();
  let settled: AbortController | undefined;
  const onAbort = (): void => {
    // A lost lease or a drain needs no outcome: waiting for one would only delay the next holder.
    if (isHandOver(signal.reason)) return overdue.abort(signal.reason);
    settled = new AbortController();
    void clock.sleep(ABORT_GRACE_MS, settled.signal).then(() => overdue.abort(signal.reason));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await unlessAborted(running, overdue.signal);
  } finally {
    settled?.abort();
    signal.removeEventListener("abort", onAbort);
  }
}

/** True for the two reasons for which somebody else goes on with the run. */
export const isHandOver = (error: unknown): error is HAError =>
  isHAError(error, "LEASE_LOST") || isHAError(error, "DRAINING");

/**
 * The end of a run that was told to stop, with the text as it stands.
 * @throws HAError LEASE_LOST or DRAINING when that is the reason
 */
export function abortOutcome(signal: AbortSignal, text: string): AgentOutcome {
  const reason: unknown = signal.reason;
  if (isHandOver(reason)) throw reason;
  const timedOut = isHAError(reason, "TIMEOUT");
  const result: RunResult = { text, stopReason: timedOut ? "timeout" : "aborted" };
  const error: RunError | null = timedOut ? { kind: "timeout", message: reason.message } : null;
  return { status: timedOut ? "timed_out" : "aborted", result, error, steps: [], messages: [] };
}

/** The end of a run by an error that nobody expected. */
export function failure(error: unknown, text = ""): AgentOutcome {
  const { code, message, details } = asHAError(error);
  const kind = typeof details.kind === "string" ? details.kind : code.toLowerCase();
  return {
    status: "failed",
    result: text === "" ? null : { text, stopReason: "error" },
    error: { kind, message },
    steps: [],
    messages: [],
  };
}

/** Text of the last assistant message that is durable, of this run. */
function lastText(context: LoadedContext, written: Written): string {
  const last = [...context.own, ...written.entries].findLast(({ message }) => message.role === "assistant");
  return last === undefined ? "" : messageText(last.message);
}

/** What a user has seen of an answer that was cut off stays in the transcript, also where the runtime gave no row. */
function withPartialText(
  { clock }: Pick<AttemptDeps, "clock">,
  outcome: AgentOutcome,
  storedText: string,
  streamText: string,
): AgentOutcome {
  if (outcome.status !== "aborted" && outcome.status !== "timed_out") return outcome;
  const text = outcome.result?.text || streamText;
  const result: RunResult = outcome.result ?? {
    text,
    stopReason: outcome.status === "timed_out" ? "timeout" : "aborted",
  };
  const hasRow = outcome.messages.some((message) => message.role === "assistant");
  if (hasRow || text === "" || text === storedText) return { ...outcome, result };
  const row: TranscriptMessage = {
    role: "assistant",
    content: [{ type: "text", text }],
    timestamp: clock.now(),
    stopReason: "aborted",
  };
  return { ...outcome, result, messages: [...outcome.messages, row] };
}
