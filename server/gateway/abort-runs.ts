import type { RunId } from "../core/ids.ts";
import { abortedEvent } from "../core/run-event.ts";
import type { AbortAnswer, AbortTarget } from "../ports/run-ledger.ts";
import { stopSubagents } from "../subagents/stop-subagents.ts";
import type { Call } from "./methods/registry.ts";

/** What an abort needs of a request. */
export type AbortCall = Pick<Call, "gateway" | "tenant" | "hub">;

/** How long an answer waits for the workers to end their runs, so that clients hear of the ends before it. */
const WORKERS_END_WITHIN_MS = 2_000;

/**
 * Ends what the target names. The mark in the ledger is what counts: a worker that misses the
 * signal sees it at its next checkpoint or heartbeat. Answers the runs that were open, in the ledger's order.
 * @throws HAError STORE_UNAVAILABLE; the runs may go on
 */
export async function abortRuns(call: AbortCall, target: AbortTarget): Promise<RunId[]> {
  const ends = endings(call);
  const aborted = ends.note(await call.gateway.ledger.abort(call.tenant, target));
  await ends.heard();
  return aborted;
}

/**
 * As `abortRuns`, and ends the subagents of the run or of the session with all that is below them. Nobody is told of
 * their ends but who follows their sessions.
 * @throws HAError STORE_UNAVAILABLE; the runs may go on
 */
export async function stopRuns(
  call: AbortCall,
  target: AbortTarget,
): Promise<{ readonly runIds: readonly RunId[]; readonly subagents: number }> {
  const { gateway, tenant } = call;
  const ends = endings(call);
  const runIds = ends.note(await gateway.ledger.abort(tenant, { ...target, stopSubagents: true }));
  // What is left here is marked, and the control process's to stop.
  const subagents = await stopSubagents(gateway, ends.note, tenant).catch(() => 0);
  await ends.heard();
  return { runIds, subagents };
}

/** Tells of what aborts have done, and waits a little for the ends that workers tell of. */
function endings(call: AbortCall) {
  const { gateway, tenant, hub } = call;
  const open: Promise<unknown>[] = [];
  const forgets: (() => void)[] = [];
  /** @returns the runs that were open */
  const note = (answers: readonly AbortAnswer[]): RunId[] =>
    answers.flatMap((answer) => {
      if (answer.kind !== "aborted" && answer.kind !== "requested") return [];
      const { sessionKey, runId } = answer.run;
      if (answer.kind === "aborted") {
        endQueued(call, answer);
      } else {
        hub.track(answer.run, null, false);
        open.push(new Promise((resolve) => forgets.push(hub.onEnd(runId, resolve))));
        // Lost signals are late, not lost: see above.
        gateway.bus
          .signal(answer.worker, { type: "abort", tenant, sessionKey, runId })
          .catch(() => undefined);
      }
      return [runId];
    });
  const heard = async (): Promise<void> => {
    if (open.length === 0) return;
    const over = new AbortController();
    await Promise.race([Promise.all(open), gateway.clock.sleep(WORKERS_END_WITHIN_MS, over.signal)]);
    over.abort();
    for (const forget of forgets) forget();
  };
  return { note, heard };
}

/**
 * A run that no worker had: this gateway tells of its end, to its own connections at once and to the other gateways
 * over the bus, under the token that the ledger gave for it.
 */
function endQueued(call: AbortCall, { run, token }: Extract<AbortAnswer, { kind: "aborted" }>): void {
  const { gateway, hub } = call;
  const event = abortedEvent(run, token, gateway.clock.now(), hub.runs.get(run.runId)?.view.text);
  hub.onEvents([event]);
  // Where the bus is away, the other gateways' run watchers read the end from the ledger.
  gateway.bus.publish([event]).catch(() => undefined);
}
