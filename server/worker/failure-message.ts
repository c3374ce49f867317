import type { ModelSpec } from "../core/catalog.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import type { AgentOutcome } from "../ports/agent-runtime.ts";

/**
 * What a failed run leaves in the history, as OpenClaw's does: that it failed, and what to do next. Null where it left a
 * part of its answer, which says by its `stopReason` that it broke off. It is for people: no model is to read it.
 */
export function failureMessage(
  { status, error, messages }: AgentOutcome,
  model: Pick<ModelSpec, "api" | "provider" | "id"> | undefined,
  timestamp: number,
): TranscriptMessage | null {
  if (status !== "failed" || error === null || messages.at(-1)?.stopReason === "error") return null;
  return {
    role: "assistant",
    content: [{ type: "text", text: `⚠️ ${error.message}` }],
    ...(model === undefined ? {} : { api: model.api, provider: model.provider, model: model.id }),
    usage: { input: 0, output: 0, totalTokens: 0, cacheRead: 0, cacheWrite: 0 },
    stopReason: "error",
    timestamp,
    excludeFromContext: true,
  };
}
