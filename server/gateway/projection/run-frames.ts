import type { RunEvent } from "../../core/run-event.ts";
import type { Usage } from "../../core/transcript.ts";
import type { RunEnd, RunView } from "../run-view.ts";

/**
 * Payloads of the `chat` and `agent` events of one run, as OpenClaw 2026.9.6 sends them (protocol.md 4). `seq` is the
 * number of the event that they show, shared between the two families; `runSeq` is the same number under the name
 * by which `openclaw-ha.runs.follow` takes it back.
 */
type Payload = Readonly<Record<string, unknown>>;

const chat = (view: RunView, runSeq: number, state: string, more: Payload): Payload => ({
  runId: view.runId,
  sessionKey: view.sessionKey,
  agentId: view.agentId,
  seq: runSeq,
  runSeq,
  state,
  ...more,
});

const agent = (view: RunView, runSeq: number, ts: number, stream: string, data: Payload): Payload => ({
  runId: view.runId,
  stream,
  data,
  sessionKey: view.sessionKey,
  ...(view.sessionId === undefined ? {} : { sessionId: view.sessionId }),
  agentId: view.agentId,
  seq: runSeq,
  runSeq,
  ts,
  isHeartbeat: false,
});

const assistantMessage = (text: string, timestamp: number): Payload => ({
  role: "assistant",
  content: [{ type: "text", text }],
  timestamp,
});

export const chatStatus = (view: RunView, phase: string): Payload =>
  chat(view, view.lastRunSeq, "status", { phase });

export const agentRunStatus = (view: RunView, ts: number, phase: string): Payload =>
  agent(view, view.lastRunSeq, ts, "run_status", { phase });

/** `replace` says that `deltaText` does not continue what was sent before: it is the whole text. */
export const chatDelta = (view: RunView, ts: number, deltaText: string, replace: boolean): Payload =>
  chat(view, view.lastRunSeq, "delta", {
    deltaText,
    ...(replace ? { replace: true } : {}),
    message: assistantMessage(view.text, ts),
  });

export const agentAssistant = (view: RunView, ts: number, delta: string, replace: boolean): Payload =>
  agent(view, view.lastRunSeq, ts, "assistant", {
    text: view.text,
    delta,
    ...(replace ? { replace: true } : {}),
    itemId: `${view.runId}:${view.lastRunSeq}`,
  });

export const agentThinking = (view: RunView, ts: number, delta: string): Payload =>
  agent(view, view.lastRunSeq, ts, "thinking", { delta });

export const agentUsage = (view: RunView, ts: number, usage: Usage): Payload =>
  agent(view, view.lastRunSeq, ts, "usage", { outputTokens: usage.output, inputTokens: usage.input });

export const agentStart = (view: RunView, ts: number): Payload =>
  agent(view, view.lastRunSeq, ts, "lifecycle", { phase: "start", startedAt: view.startedAt ?? ts });

export const agentModel = (view: RunView, ts: number): Payload =>
  agent(view, view.lastRunSeq, ts, "lifecycle", {
    phase: "model",
    provider: view.model?.provider ?? null,
    model: view.model?.model ?? null,
  });

/** `completed` and `willRetry` at the end, as OpenClaw says it: the run goes on by itself. */
export const agentCompaction = (
  view: RunView,
  ts: number,
  { phase, completed = false }: Extract<RunEvent["body"], { type: "compaction" }>,
): Payload =>
  agent(view, view.lastRunSeq, ts, "compaction", {
    phase,
    ...(phase === "end" ? { completed, willRetry: false } : {}),
  });

type ToolBody = Extract<RunEvent["body"], { type: "tool" }>;

const resultText = (result: unknown): string =>
  typeof result === "string" ? result : result === undefined ? "" : JSON.stringify(result);

/** The full tool event, with arguments and result: for the connection that asked for the run only. */
export function agentTool(view: RunView, ts: number, tool: ToolBody): Payload {
  const { phase, name, toolCallId } = tool;
  const result = { content: [{ type: "text", text: resultText(tool.result) }] };
  return agent(view, view.lastRunSeq, ts, "tool", {
    phase,
    name,
    toolCallId,
    ...(phase === "start" ? { args: tool.args ?? {} } : {}),
    ...(phase === "update" ? { partialResult: result } : {}),
    ...(phase === "result" ? { isError: tool.isError ?? false, result } : {}),
  });
}

/** The coarse view of a tool call that every reader gets: that it runs, not what it says. */
export function agentItem(view: RunView, ts: number, tool: ToolBody): Payload {
  const phase = tool.phase === "result" ? "end" : tool.phase;
  const status = phase === "end" ? (tool.isError ? "failed" : "completed") : "running";
  return agent(view, view.lastRunSeq, ts, "item", {
    itemId: `tool:${tool.toolCallId}`,
    toolCallId: tool.toolCallId,
    name: tool.name,
    kind: "tool",
    phase,
    title: tool.name,
    status,
  });
}

export function agentEnd(view: RunView, end: RunEnd): Payload {
  const times = { startedAt: end.startedAt ?? end.endedAt, endedAt: end.endedAt };
  switch (end.status) {
    case "succeeded":
      return agent(view, end.runSeq, end.endedAt, "lifecycle", {
        phase: "end",
        stopReason: end.stopReason,
        aborted: false,
        ...times,
        terminalReply: { disposition: end.text === "" ? "silent" : "visible", text: end.text },
        executionSettled: true,
      });
    case "aborted":
    case "timed_out":
      return agent(view, end.runSeq, end.endedAt, "lifecycle", {
        phase: "end",
        status: end.status === "aborted" ? "cancelled" : "timeout",
        aborted: true,
        stopReason: end.stopReason,
        ...times,
      });
    case "failed":
    case "dead":
      return agent(view, end.runSeq, end.endedAt, "lifecycle", {
        phase: "error",
        error: endMessage(end),
        aborted: false,
        ...times,
        executionSettled: true,
      });
    default:
      return end.status satisfies never;
  }
}

/** The one terminal `chat` event of a run. */
export function chatEnd(view: RunView, end: RunEnd): Payload {
  const message = end.text === "" ? {} : { message: assistantMessage(end.text, end.endedAt) };
  switch (end.status) {
    case "succeeded":
      // As OpenClaw ends a message that has joined another turn: without a word, and before that turn is answered.
      if (end.mergedInto !== undefined) return chat(view, end.runSeq, "final", {});
      return chat(view, end.runSeq, "final", {
        stopReason: end.stopReason,
        ...message,
        ...(end.usage === undefined ? {} : { usage: end.usage }),
      });
    case "aborted":
    case "timed_out":
      // What was said before the end stays on the screen.
      return chat(view, end.runSeq, "aborted", { stopReason: end.stopReason, ...message });
    case "failed":
    case "dead":
      return chat(view, end.runSeq, "error", {
        errorMessage: endMessage(end),
        errorKind: "unknown",
        errorDetail: { kind: end.error?.kind ?? end.status },
        ...message,
      });
    default:
      return end.status satisfies never;
  }
}

/** What a person is told of a run that did not succeed. */
export function endMessage(end: Pick<RunEnd, "status" | "error">): string {
  if (end.error) return end.error.message;
  if (end.status === "timed_out") return "the run reached its time limit";
  return end.status === "aborted" ? "the run was aborted" : "the run failed";
}
