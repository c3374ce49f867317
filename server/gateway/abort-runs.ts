import type { RunId } from "../core/ids.ts";
import { runSeqOf, type RunEvent } from "../core/run-event.ts";
import type { AbortAnswer, AbortTarget } from "../ports/run-ledger.ts";
import type { Call } from "./methods/registry.ts";

/** What an abort needs of a request. */
export type AbortCall = Pick<Call, "gateway" | "tenant" | "hub">;

/** How long an answer waits for the worker to end a run, so that clients hear of the end before it. */
const WORKER_ENDS_WITHIN_MS = 2_000;

/**
 * Ends what the target names. The mark in the ledger is what counts: a worker that misses the
 * signal sees it at its next checkpoint or heartbeat. Answers the runs that were open, in the ledger's order.
 * @throws HAError STORE_UNAVAILABLE; the runs may go on
 */
export async function abortRuns(call: AbortCall, target: AbortTarget): Promise<RunId[]> {
  const { gateway, tenant, hub } = call;
  const answers = await gateway.ledger.abort(tenant, target);
  const over = new AbortController();
  const endings: Promise<unknown>[] = [];
  const forgets: (() => void)[] = [];
  const aborted: RunId[] = [];
  for (const answer of answers) {
    if (answer.kind === "aborted") {
      aborted.push(answer.run.runId);
      endQueued(call, answer);
    } else if (answer.kind === "requested") {
      const { run, worker } = answer;
      aborted.push(run.runId);
      hub.track(run, null, false);
      endings.push(new Promise((resolve) => forgets.push(hub.onEnd(run.runId, resolve))));
      const { sessionKey, runId } = run;
      // Lost signals are late, not lost: see above.
      gateway.bus.signal(worker, { type: "abort", tenant, sessionKey, runId }).catch(() => undefined);
    }
  }
  if (endings.length > 0) {
    await Promise.race([Promise.all(endings), gateway.clock.sleep(WORKER_ENDS_WITHIN_MS, over.signal)]);
    over.abort();
    for (const forget of forgets) forget();
  }
  return aborted;
}

/**
 * A run that no worker had: this gateway tells of its end, to its own connections at once and to the other gateways
 * over the bus, under the token that the ledger gave for it.
 */
function endQueued(call: AbortCall, answer: Extract<AbortAnswer, { kind: "aborted" }>): void {
  const { gateway, hub } = call;
  const { run, token } = answer;
  const event: RunEvent = {
    tenant: run.tenant,
    sessionKey: run.sessionKey,
    agentId: run.agentId,
    runId: run.runId,
    token,
    runSeq: runSeqOf(run.attempt + 1, 1),
    at: gateway.clock.now(),
    body: { type: "aborted", text: hub.runs.get(run.runId)?.view.text ?? "", reason: "rpc" },
  };
  hub.onEvents([event]);
  // Where the bus is away, the other gateways' run watchers read the end from the ledger.
  gateway.bus.publish([event]).catch(() => undefined);
}
