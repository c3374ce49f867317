import type { RunRecord } from "../../core/run.ts";
import { isEnded } from "../../core/run-state.ts";
import type { RunEnd } from "../run-view.ts";
import { endMessage } from "./run-frames.ts";

/** `status` of chat.send, agent and agent.wait. */
export type WireRunStatus = "in_flight" | "ok" | "error" | "timeout";

/** An aborted run answers `timeout` with summary `aborted`, as OpenClaw does. */
export function wireRunStatus(run: Pick<RunRecord, "status">): WireRunStatus {
  switch (run.status) {
    case "queued":
    case "running":
      return "in_flight";
    case "succeeded":
      return "ok";
    case "failed":
    case "dead":
      return "error";
    case "timed_out":
    case "aborted":
      return "timeout";
    default:
      return run.status satisfies never;
  }
}

/** `chat.send` for a run that this request made (`started`) or found. */
export function sendAnswer(run: RunRecord, made: boolean): Readonly<Record<string, unknown>> {
  if (made) return { runId: run.runId, status: "started" };
  const status = wireRunStatus(run);
  if (!isEnded(run.status) || status === "ok") return { runId: run.runId, status };
  const end = { status: run.status, error: run.error ?? undefined };
  return { runId: run.runId, status, summary: run.status === "aborted" ? "aborted" : endMessage(end) };
}

/** The second response of `agent`: its payload, and whether the frame is an error frame as well. */
export function agentAnswer(
  run: { readonly runId: string; readonly sessionKey: string },
  end: RunEnd,
): { readonly payload: Readonly<Record<string, unknown>>; readonly failed: boolean } {
  const { runId } = run;
  const status = wireRunStatus(end);
  const result = { payloads: payloadsOf(end.text), meta: metaOf(run, end) };
  if (status === "ok") return { payload: { runId, status, summary: "completed", result }, failed: false };
  if (status === "timeout") {
    const summary = end.status === "aborted" ? "aborted" : "timed out";
    return { payload: { runId, status, summary, stopReason: end.stopReason, result }, failed: false };
  }
  return { payload: { runId, status, summary: endMessage(end) }, failed: true };
}

const payloadsOf = (text: string): readonly unknown[] => (text === "" ? [] : [{ text, mediaUrl: null }]);

function metaOf(run: { readonly runId: string; readonly sessionKey: string }, end: RunEnd): unknown {
  const { usage, model } = end;
  const total = usage === undefined ? 0 : (usage.totalTokens ?? usage.input + usage.output);
  return {
    durationMs: end.startedAt === undefined ? 0 : Math.max(0, end.endedAt - end.startedAt),
    agentMeta: {
      ...(end.sessionId === undefined ? {} : { sessionId: end.sessionId }),
      sessionFile: run.sessionKey,
      ...(model === undefined ? {} : { provider: model.provider, model: model.model }),
      ...(usage === undefined ? {} : { usage: { ...usage, total } }),
    },
    aborted: end.status === "aborted",
    stopReason: end.stopReason,
  };
}

/** The answer of `agent.wait`. Of a message that has joined another turn it says which run answers it. */
export const waitAnswer = (runId: string, end: RunEnd): Readonly<Record<string, unknown>> => ({
  runId,
  status: wireRunStatus(end),
  ...(end.startedAt === undefined ? {} : { startedAt: end.startedAt }),
  endedAt: end.endedAt,
  stopReason: end.stopReason,
  ...(end.mergedInto === undefined ? {} : { mergedInto: end.mergedInto }),
  ...(end.error === undefined ? {} : { error: end.error.message }),
});
