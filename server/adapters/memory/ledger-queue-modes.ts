import {
  collectableCount,
  collectedMessage,
  type CollectItem,
  MAX_MERGED,
  type QueueMode,
} from "../../core/queue-mode.ts";
import { nextRunStatus } from "../../core/run-state.ts";
import type { SteeredRun } from "../../ports/run-ledger.ts";
import type { MemoryStoreState, StoredRun, StoredSession } from "./state.ts";
import { appendMessage } from "./transcript.ts";

/** Lets the runs of mode `steer` at the head of the queue join the running one: their rows become rows of it. */
export function steerInto(state: MemoryStoreState, session: StoredSession, into: StoredRun): SteeredRun[] {
  return session.queue.splice(0, countAhead(session, "steer", MAX_MERGED)).map((run) => {
    merge(state, run, into, "steered");
    const key = `${run.runId}:user`;
    run.userMessageId = key;
    const message = { messageId: key, idempotencyKey: key, body: run.input.body };
    return { runId: run.runId, row: appendMessage(state, session, message, into.runId).row };
  });
}

/** Makes one message of the first run, which has just left the queue, and of those of mode `collect` behind it. */
export function collectBehind(state: MemoryStoreState, session: StoredSession, first: StoredRun): void {
  const behind = session.queue.slice(0, countAhead(session, "collect", MAX_MERGED - 1));
  const runs = [first, ...behind];
  const items = runs.map(({ input }): CollectItem => ({ body: input.body, sender: input.options.sender }));
  const count = collectableCount(items);
  if (count === 0) return;
  const body = { inline: collectedMessage(items.slice(0, count)) };
  first.input = { ...first.input, body };
  const merged = session.queue.splice(0, count - 1);
  for (const run of merged) merge(state, run, first, "collected");
  first.collected = merged.map(({ runId }) => runId);
}

/** How many runs of a mode stand one behind the other at the head of the queue. One that has begun keeps its own turn. */
function countAhead({ queue }: StoredSession, mode: QueueMode, max: number): number {
  const end = queue.findIndex((run) => run.queueMode !== mode || run.attempt > 0);
  return Math.min(end === -1 ? queue.length : end, max);
}

function merge(
  state: MemoryStoreState,
  run: StoredRun,
  into: StoredRun,
  stopReason: "steered" | "collected",
): void {
  run.status = nextRunStatus(run.status, "merge");
  run.endedAt = state.now();
  run.result = { text: "", stopReason, mergedInto: into.runId };
}
