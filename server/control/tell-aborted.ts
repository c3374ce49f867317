import { abortedEvent, type RunEvent } from "../core/run-event.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { AbortAnswer } from "../ports/run-ledger.ts";

export interface TellAbortedDeps {
  readonly bus: Pick<EventBus, "publish" | "signal">;
  readonly clock: Pick<Clock, "now">;
}

/** Tells of aborted runs as a gateway does: of the ends of queued ones, and the workers of the others. Best effort: both are in the ledger. */
export function tellAborted({ bus, clock }: TellAbortedDeps, answers: readonly AbortAnswer[]): void {
  const ends: RunEvent[] = [];
  for (const answer of answers) {
    if (answer.kind === "aborted") ends.push(abortedEvent(answer.run, answer.token, clock.now()));
    if (answer.kind !== "requested") continue;
    const { tenant, sessionKey, runId } = answer.run;
    bus.signal(answer.worker, { type: "abort", tenant, sessionKey, runId }).catch(() => undefined);
  }
  if (ends.length > 0) bus.publish(ends).catch(() => undefined);
}
