import { createHash } from "node:crypto";
import type { BodyStore } from "../bodies/body-store.ts";
import { storeInput } from "../bodies/store-input.ts";
import { asHAError } from "../core/errors.ts";
import type { RunId, TenantId } from "../core/ids.ts";
import { laneOfSession } from "../core/lane.ts";
import { agentOfSessionKey } from "../core/session-key.ts";
import { announcementId, type Subagent } from "../core/subagent.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { AcceptRequest } from "../ports/run-ledger.ts";
import type { ReadySession, RunQueue } from "../ports/run-queue.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { EndedSubagent, SubagentStore } from "../ports/subagent-store.ts";
import { announcementMessage } from "./announcement.ts";

/** Children in one pass. */
const BATCH = 100;

export interface AnnouncerDeps {
  readonly subagents: Pick<SubagentStore, "ended" | "announce">;
  readonly sessions: Pick<SessionStore, "delete">;
  readonly bodies: Pick<BodyStore, "store">;
  readonly queue: Pick<RunQueue, "enqueue">;
  readonly bus: Pick<EventBus, "notify">;
  readonly clock: Pick<Clock, "now">;
  readonly random: Pick<Random, "uuid">;
  readonly logger: Logger;
}

/** Tells parents of their children's ends, each once, whoever does it and whatever dies in between. */
export interface Announcer {
  /**
   * Announces what has ended: one run, where it is a child, or the first of all.
   * @returns how many it found
   * @throws HAError STORE_UNAVAILABLE; what was not announced is found again
   */
  announce(only?: { readonly tenant: TenantId; readonly runId: RunId }): Promise<number>;
}

export function announcer(deps: AnnouncerDeps): Announcer {
  const { subagents, sessions, queue, bus, logger } = deps;

  return {
    async announce(only) {
      const ended = await subagents.ended(BATCH, only);
      if (ended.length === 0) return 0;
      for (const { child } of ended) {
        if (child.cleanup === "delete") {
          // Before the announcement: killed in between, the next one finds the child again. Its run, and so its answer, stays.
          await sessions.delete(child.tenant, child.sessionKey);
          await bus
            .notify(child.tenant, { type: "session", reason: "delete", sessionKey: child.sessionKey })
            .catch(() => undefined);
        }
      }
      const answers = await subagents.announce(
        await Promise.all(
          ended.map(async (one) => ({
            child: one.child,
            accept: one.isAwaited ? await storeInput(deps.bodies, announcementOf(deps, one)) : null,
          })),
        ),
      );
      const ready: ReadySession[] = [];
      const taken: Subagent[] = [];
      for (const [place, answer] of answers.entries()) {
        const { tenant, runId } = ended[place]!.child;
        if (answer.kind !== "done")
          logger.info("subagent.announced", { tenant, run: runId, as: answer.kind });
        if (answer.kind === "announced" && answer.answer.kind === "new" && answer.answer.ready) {
          ready.push(answer.answer.ready);
        }
        if (answer.kind === "refused" && answer.reason === "conflict") taken.push(ended[place]!.child);
      }
      // A client has used the announcement's id for something else: there will never be one.
      if (taken.length > 0) await subagents.announce(taken.map((child) => ({ child, accept: null })));
      if (ready.length > 0) {
        await queue.enqueue(ready).catch((error: unknown) => {
          logger.debug("subagent.enqueue_failed", { code: asHAError(error).code }); // the requeue pass adds it
        });
      }
      return ended.length;
    },
  };
}

function announcementOf({ clock, random }: AnnouncerDeps, { child, run }: EndedSubagent): AcceptRequest {
  const runId = announcementId(child);
  return {
    tenant: child.tenant,
    runId,
    sessionKey: child.requesterKey,
    agentId: agentOfSessionKey(child.requesterKey),
    lane: laneOfSession(child.requesterKey),
    requestHash: createHash("sha256").update(runId).digest("hex"),
    input: {
      body: { inline: announcementMessage(child, run, clock.now()) },
      options: {},
    },
    newSessionId: random.uuid(),
  };
}
