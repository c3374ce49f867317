import type { AgentCatalog } from "../core/catalog.ts";
import type { SessionKey, TenantId } from "../core/ids.ts";
import type { SessionRecord } from "../core/session.ts";
import { agentOfSessionKey } from "../core/session-key.ts";
import type { Clock } from "../ports/clock.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { Audience } from "./audience.ts";
import { sessionRow } from "./projection/session-row.ts";
import { openEvent } from "./protocol/frames.ts";

/** Why a session changed; `phase` and `runId` where a run was the cause. */
export interface SessionChange {
  readonly reason: string;
  readonly phase?: string;
  readonly runId?: string;
}

/** Tells `sessions.changed` to those that subscribed the sessions of their tenant. */
export interface SessionsFeed {
  changed(key: SessionKey, change: SessionChange): void;
}

/**
 * Each change carries the session's row, read when it is told: one read at a time and session, and changes that
 * come while it is under way share the next one. Without subscribers nothing is read. Where the store does not
 * answer, the change is told without the row.
 */
export function sessionsFeed(deps: {
  readonly tenant: TenantId;
  readonly audience: Audience;
  readonly sessions: SessionStore;
  readonly catalog: AgentCatalog;
  readonly clock: Clock;
}): SessionsFeed {
  const { tenant, audience, sessions, catalog, clock } = deps;
  const waiting = new Map<SessionKey, SessionChange[]>();

  const tell = (key: SessionKey, change: SessionChange, session: SessionRecord | null): void => {
    const now = clock.now();
    const row = session === null ? null : sessionRow(catalog, session, now);
    const event = openEvent("sessions.changed", {
      sessionKey: key,
      agentId: session?.agentId ?? agentOfSessionKey(key),
      ...change,
      ts: now,
      ...(row === null || session === null
        ? {}
        : {
            session: row,
            sessionId: session.sessionId,
            updatedAt: session.updatedAt,
            label: session.label,
            archived: session.archived,
            pinned: session.pinned,
            hasActiveRun: session.activeRunId !== null,
          }),
    });
    for (const watcher of audience.sessionWatchers) watcher.outbox.event(event, true);
  };

  const drain = async (key: SessionKey): Promise<void> => {
    for (;;) {
      const changes = waiting.get(key) ?? [];
      if (changes.length === 0) {
        waiting.delete(key);
        return;
      }
      waiting.set(key, []); // what comes from here on needs a row that is read after it
      const session = await sessions.get(tenant, key).catch(() => null);
      for (const change of changes) tell(key, change, session);
    }
  };

  return {
    changed(key, change) {
      if (audience.sessionWatchers.size === 0) return;
      const changes = waiting.get(key);
      if (changes) {
        changes.push(change);
        return;
      }
      waiting.set(key, [change]);
      void drain(key);
    },
  };
}
