import { HAError } from "./errors.ts";
import type { AgentId, RunId, SessionKey, TenantId } from "./ids.ts";

/** What a user may change of a session (`sessions.patch`). `null` clears, absent leaves. */
export interface SessionPatch {
  readonly label?: string | null;
  readonly model?: string | null;
  readonly thinkingLevel?: string | null;
  readonly verboseLevel?: string | null;
  readonly queueMode?: string | null;
  readonly archived?: boolean;
  readonly pinned?: boolean;
  /** False: all rows there are now have been read. True: marked as unread until then. */
  readonly unread?: boolean;
  /** Nothing is changed where the session was marked at another time, or is not marked (null) and this says so. */
  readonly expectedMarkedUnreadAt?: number | null;
}

/** What a session must be for a patch to be made; what is not named is not compared. */
export interface PatchExpectations {
  readonly expectedSessionId?: string;
  /** As the wire has it. */
  readonly expectedLifecycleRevision?: string;
}

/** Why a store does not make a patch: the session is another one than expected, its label is taken, it is put away. */
export type PatchRefusal = "session-changed" | "label-taken" | "archived";

/** The error of a patch that a store has refused, in OpenClaw's words. */
export function patchRefused(
  reason: PatchRefusal,
  key: SessionKey,
  { label }: Pick<SessionPatch, "label">,
): HAError {
  const message = {
    "session-changed": `Session ${key} changed before patch. Retry.`,
    "label-taken": `label already in use: ${label}`,
    archived: "cannot pin an archived session; restore it first",
  }[reason];
  return new HAError("REQUEST_INVALID", message, reason === "session-changed" ? { reason } : {});
}

/** One session, as lists and `sessions.describe` need it: one row read, no transcript. */
export interface SessionRecord {
  readonly tenant: TenantId;
  readonly key: SessionKey;
  /** Stays over resets (protocol.md 5). */
  readonly sessionId: string;
  readonly agentId: AgentId;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly createdVia: string;
  /** The session whose run spawned this one as a subagent. */
  readonly spawnedBy: SessionKey | null;
  /** 0 for all but subagents. */
  readonly spawnDepth: number;
  /** Changes at each reset. */
  readonly lifecycleRevision: number;
  /** Highest transcript seq. */
  readonly headSeq: number;
  /** Id of the newest row, which clients call the active leaf; null where there is none. */
  readonly headMessageId: string | null;
  /** Rows at or below it are history from before the last reset. */
  readonly resetSeq: number;
  readonly messageCount: number;
  readonly label: string | null;
  readonly model: string | null;
  readonly thinkingLevel: string | null;
  readonly verboseLevel: string | null;
  readonly queueMode: string | null;
  readonly archived: boolean;
  readonly pinned: boolean;
  /** Rows up to here have been read. */
  readonly readSeq: number;
  /** When somebody marked the session as unread; null where it is not marked. */
  readonly markedUnreadAt: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Estimated size of the context at the end of the last run; null where no run has told it. */
  readonly contextTokens: number | null;
  /** First 200 characters of the last user or assistant text. */
  readonly lastMessagePreview: string | null;
  /** First 120 characters of the first user text since the last reset. */
  readonly derivedTitle: string | null;
  /** The run that holds the session now, or the oldest queued one. */
  readonly activeRunId: RunId | null;
  readonly lastRunId: RunId | null;
}

/**
 * Whether there is something to read: a row beyond the first two of the history, which are the reader's own message and
 * its answer, or the reset and a message.
 */
export const isUnread = (
  session: Pick<SessionRecord, "headSeq" | "readSeq" | "resetSeq" | "markedUnreadAt">,
): boolean =>
  session.markedUnreadAt !== null || session.headSeq > Math.max(session.readSeq, session.resetSeq + 2);
