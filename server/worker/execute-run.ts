import type { AgentCatalog } from "../core/catalog.ts";
import { grown } from "../core/compaction.ts";
import { asHAError, isHAError } from "../core/errors.ts";
import type { RunEventBody } from "../core/run-event.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import { messageText, type TranscriptMessage } from "../core/transcript.ts";
import type { AgentOutcome } from "../ports/agent-runtime.ts";
import type { Logger } from "../ports/logger.ts";
import { backoffMs } from "../ports/random.ts";
import type { FinishAnswer, FinishRequest, Grant } from "../ports/run-ledger.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { Span, Tracing } from "../ports/tracing.ts";
import type { ActiveRun, ActiveRuns } from "./active-runs.ts";
import {
  abortOutcome,
  type AttemptDeps,
  failure,
  isHandOver,
  newMessages,
  noteRows,
  runAttempt,
  type Written,
} from "./attempt.ts";
import { isLostForGood } from "../bodies/body-store.ts";
import type { ContextCache } from "./context-cache.ts";
import { failureMessage } from "./failure-message.ts";
import { type LoadedContext, loadContext } from "./load-context.ts";
import { planTurn, timeoutOf } from "./plan-turn.ts";
import type { TokenCharges } from "./token-charges.ts";
import type { RunStream } from "./run-publisher.ts";

export interface ExecuteRunDeps extends AttemptDeps {
  readonly catalog: AgentCatalog;
  readonly sessions: SessionStore;
  readonly cache: ContextCache;
  readonly runs: ActiveRuns;
  readonly logger: Logger;
  readonly charges: Pick<TokenCharges, "add">;
  readonly tracing: Tracing;
  readonly registry: Pick<MetricsRegistry, "count" | "observe">;
  /** False while the worker ends: the lease is then released with the run, for others to go on with the session. */
  readonly takeNext: () => boolean;
}

export type RunEnding =
  /** The run has ended, durably. */
  | { readonly kind: "finished"; readonly answer: Extract<FinishAnswer, { kind: "finished" }> }
  /** The worker drains: the run is still granted to it and has to be released. */
  | { readonly kind: "unfinished" }
  /** Somebody else has the session, or will have: nothing more may be written for this grant. */
  | { readonly kind: "lost" };

/**
 * Carries one granted run to its end: context, agent, result, and only then the terminal event.
 *
 * Killed before `finish` commits: another worker resumes behind the last checkpoint. Killed after it: the run has
 * ended, followers read it from Postgres, and the session's next run is resumed by its new holder. Paused past its
 * lease: every write is refused by the token, and nothing more is published.
 */
export async function executeRun(deps: ExecuteRunDeps, grant: Grant): Promise<RunEnding> {
  const begun = deps.clock.monotonic();
  const { lane } = grant;
  if (grant.attempt > 1) deps.registry.count("takeovers", {});
  else deps.registry.observe("runQueue", { lane }, (grant.startedAt - grant.acceptedAt) / 1_000);
  const span = startSpan(deps.tracing, grant);
  // Whatever is logged of this run says whose it is.
  const logger = deps.logger.child(idsOf(grant));
  const ending = await executeAttempt({ ...deps, logger }, traced(grant, span));
  span.end(ending.kind === "lost" ? "LEASE_LOST" : undefined);
  if (ending.kind === "finished") {
    deps.registry.observe("runDuration", { lane }, (deps.clock.monotonic() - begun) / 1_000);
  }
  return ending;
}

/** The span of one attempt, and beside it, of the first one, the time that the run has waited. */
function startSpan(tracing: Tracing, grant: Grant): Span {
  const parent = grant.input.options.traceparent;
  const attributes = {
    "openclaw.tenant": grant.tenant,
    "openclaw.session": grant.sessionKey,
    "openclaw.run": grant.runId,
    "openclaw.run.attempt": grant.attempt,
    "openclaw.lane": grant.lane,
  };
  if (grant.attempt === 1) {
    const waiting = { name: "run queued", kind: "internal", parent, attributes } as const;
    tracing.start({ ...waiting, startedAt: grant.acceptedAt }).end(undefined, grant.startedAt);
  }
  return tracing.start({ name: "execute run", kind: "consumer", parent, attributes });
}

/** What the run does is traced under its attempt. */
const traced = (grant: Grant, { traceparent }: Span): Grant =>
  traceparent === undefined
    ? grant
    : { ...grant, input: { ...grant.input, options: { ...grant.input.options, traceparent } } };

async function executeAttempt(deps: ExecuteRunDeps, grant: Grant): Promise<RunEnding> {
  const run = deps.runs.add(grant, deadlineOf(deps, grant));
  if (grant.abortRequested) deps.runs.abort(grant.tenant, grant.runId);
  let stream: RunStream | null = null;
  const written: Written = { entries: [], headSeq: grant.headSeq };
  for (const id of grant.collected) deps.publisher.merged(grant, id, "collected");
  try {
    const planned = planTurn(deps.catalog, grant);
    const model = "plan" in planned ? modelName(planned.plan.models[0]) : undefined;
    const openStream = (text: string): RunStream => {
      const opened = deps.publisher.open(grant, { text, model });
      // Every attempt tells of the user's row: a follower that saw an earlier one knows it by its id.
      opened.emit({ type: "message", row: grant.userRow });
      return opened;
    };

    // A later attempt begins with the text as it stands, so it has to read first.
    if (grant.attempt === 1) stream = openStream("");
    const loaded = await contextOf(deps, run);
    stream ??= openStream("error" in loaded ? "" : standingText(loaded));

    let outcome: AgentOutcome;
    if (run.signal.aborted) outcome = abortOutcome(run.signal, stream.text());
    else if ("error" in loaded) outcome = loaded;
    else if ("error" in planned) outcome = { ...failure(null), error: planned.error };
    else outcome = await runAttempt(deps, run, planned.plan, loaded, stream, written);
    const broke = failureMessage(
      outcome,
      "plan" in planned ? planned.plan.models[0] : undefined,
      deps.clock.now(),
    );
    return await finishRun(deps, grant, outcome, broke, "error" in loaded ? null : loaded, stream, written);
  } catch (error) {
    stream?.abandon();
    return await endingOf(deps, grant, error);
  } finally {
    deps.runs.remove(run);
  }
}

/** What becomes of a run that has no outcome. Never throws. */
async function endingOf(deps: ExecuteRunDeps, grant: Grant, error: unknown): Promise<RunEnding> {
  if (isHAError(error, "DRAINING")) return { kind: "unfinished" };
  if (isHAError(error, "LEASE_LOST")) {
    deps.logger.warn("worker.run_lost", { message: error.message });
    return { kind: "lost" };
  }
  // Not reached by any failure we know of. It ends here, as it would break the next worker just the same.
  const { message } = asHAError(error);
  deps.logger.error("worker.run_broke", { message });
  try {
    const answer = await storeOutcome(deps, {
      grant,
      status: "failed",
      result: null,
      error: { kind: "internal", message },
      steps: [],
      messages: [],
      takeNext: deps.takeNext(),
    });
    return answer.kind === "finished" ? { kind: "finished", answer } : { kind: "lost" };
  } catch (lost) {
    return await endingOf(deps, grant, lost);
  }
}

/** The context; waits for absent stores, and answers a failed outcome for what no waiting will bring back. */
async function contextOf(deps: ExecuteRunDeps, run: ActiveRun): Promise<LoadedContext | AgentOutcome> {
  try {
    return await deps.calls.whileTrusted(() => loadContext(deps, run.grant, run.signal), run.signal);
  } catch (error) {
    if (isHandOver(error)) throw error;
    if (run.signal.aborted) return abortOutcome(run.signal, "");
    deps.logger.error("worker.context_unreadable", { message: asHAError(error).message });
    if (!isLostForGood(error)) return failure(error);
    const message = "a part of this session's history cannot be read; reset the session to go on without it";
    return { ...failure(error), error: { kind: "transcript_unreadable", message } };
  }
}

/** Makes the outcome durable, then tells of it. */
async function finishRun(
  deps: ExecuteRunDeps,
  grant: Grant,
  outcome: AgentOutcome,
  broke: TranscriptMessage | null,
  context: LoadedContext | null,
  stream: RunStream,
  written: Written,
): Promise<RunEnding> {
  const { status, result, error, steps } = outcome;
  const messages = broke === null ? outcome.messages : [...outcome.messages, broke];
  const rows = await newMessages(deps, grant, messages);
  const answer = await storeOutcome(deps, {
    grant,
    status,
    result,
    error,
    steps,
    messages: rows.map((row, i) =>
      messages[i] === broke ? { ...row, idempotencyKey: `${grant.runId}:terminal-error` } : row,
    ),
    takeNext: deps.takeNext(),
  });
  if (answer.kind === "fenced") {
    deps.counters.fenced++;
    stream.abandon();
    return { kind: "lost" };
  }
  noteRows(written, stream, messages, answer.rows);
  stream.emit(terminalEvent(outcome, stream.text()));
  deps.counters.ended[status]++;
  deps.charges.add(grant.tenant, result?.usage);
  deps.registry.count("modelTokens", { direction: "input" }, result?.usage?.input ?? 0);
  deps.registry.count("modelTokens", { direction: "output" }, result?.usage?.output ?? 0);
  deps.logger.info("worker.run_ended", { status, errorKind: error?.kind });
  // The next run's user row came with the same statement and is not part of this run's context.
  const head = answer.next?.userRow.seq === answer.headSeq ? answer.headSeq - 1 : answer.headSeq;
  if (context !== null && written.headSeq === head) {
    deps.cache.put(grant.tenant, grant.sessionKey, {
      sessionId: grant.sessionId,
      headSeq: head,
      resetSeq: grant.resetSeq,
      history: grown(context.history, [context.user, ...context.own, ...written.entries]),
    });
  } else deps.cache.forget(grant.tenant, grant.sessionKey);
  return { kind: "finished", answer };
}

/**
 * Sends the result until the ledger has answered. The request stays the same over all tries: the ledger recognises a
 * repetition and answers as it did the first time. A result that the ledger refuses (bytes that no column takes)
 * ends the run as failed: it must not hold its session for ever.
 */
async function storeOutcome(deps: ExecuteRunDeps, request: FinishRequest): Promise<FinishAnswer> {
  let current = request;
  for (let tries = 0; ; tries++) {
    try {
      return await deps.calls.finish(current);
    } catch (error) {
      if (isHandOver(error)) throw error;
      const { code, message } = asHAError(error);
      deps.logger.error("worker.result_refused", { code, message });
      const refused = { kind: "result_refused", message: "the result could not be stored" };
      current = { ...request, status: "failed", result: null, error: refused, steps: [], messages: [] };
      if (tries > 0) await deps.clock.sleep(backoffMs(deps.random, tries, 200, 5_000));
    }
  }
}

/** Text of the run's last assistant message as earlier attempts stored it. */
function standingText(context: LoadedContext): string {
  const last = context.own.findLast(({ message }) => message.role === "assistant");
  return last === undefined ? "" : messageText(last.message);
}

/** Timed out counts as aborted on the wire: what was said before stays on the screen. */
function terminalEvent(outcome: AgentOutcome, streamed: string): RunEventBody {
  const text = outcome.result?.text ?? streamed;
  switch (outcome.status) {
    case "succeeded":
      return {
        type: "final",
        text,
        stopReason: outcome.result?.stopReason ?? "stop",
        usage: outcome.result?.usage,
      };
    case "aborted":
      return { type: "aborted", text, reason: "aborted" };
    case "timed_out":
      return { type: "aborted", text, reason: "timeout" };
    case "failed":
    case "dead":
      return { type: "error", error: outcome.error ?? { kind: "internal", message: "the run failed" } };
    default:
      return outcome.status satisfies never;
  }
}

/**
 * On this process's monotonic clock. The first attempt begins when it is granted; a later one takes from the limit
 * what has passed since, by wall clocks, so that a run cannot outlive its limit by changing workers.
 */
function deadlineOf(deps: ExecuteRunDeps, grant: Grant): number | null {
  const timeoutMs = timeoutOf(deps.catalog, grant);
  if (timeoutMs === null) return null;
  const passedMs = grant.attempt === 1 ? 0 : Math.max(0, deps.clock.now() - grant.startedAt);
  return deps.clock.monotonic() + timeoutMs - passedMs;
}

const modelName = (
  model: { readonly provider: string; readonly id: string } | undefined,
): { provider: string; model: string } | undefined =>
  model === undefined ? undefined : { provider: model.provider, model: model.id };

const idsOf = (grant: Grant): Record<string, unknown> => ({
  tenant: grant.tenant,
  session: grant.sessionKey,
  run: grant.runId,
  attempt: grant.attempt,
});
