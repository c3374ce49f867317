import type { SessionKey } from "./ids.ts";
import type { TranscriptMessage } from "./transcript.ts";

/** Where a row of role `user` comes from that no user has written; OpenClaw's `provenance` of a message. */
export interface InputProvenance {
  readonly kind: "inter_session";
  readonly sourceSessionKey: SessionKey;
  readonly sourceChannel: "internal";
  readonly sourceTool: string;
}

/** Of the row that tells a session how one of its subagents has ended. */
export const announcedBy = (child: SessionKey): InputProvenance => ({
  kind: "inter_session",
  sourceSessionKey: child,
  sourceChannel: "internal",
  sourceTool: "subagent_announce",
});

/** Reports of what ran in the background: for the model, which tells people in its own words. */
const REPORTS: ReadonlySet<unknown> = new Set([
  "subagent_announce",
  "subagent_settle",
  "agent_harness_task",
  "image_generate",
  "music_generate",
  "video_generate",
]);

/** True for rows that the genuine gateway keeps for the model and shows to nobody. */
export function isForModelOnly(message: TranscriptMessage): boolean {
  if (message["display"] === false) return true;
  if (message.role !== "user") return false;
  const { kind, sourceTool } = (message["provenance"] ?? {}) as Partial<InputProvenance>;
  return kind === "inter_session" && REPORTS.has(sourceTool);
}
