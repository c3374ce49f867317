import { type Facts, factsOf, nameOf, type Operation, shown } from "./facts.ts";
import { findings } from "./assumptions.ts";
import type { StoredRow, StoredRun } from "../stores/snapshot.ts";
import type { Validator } from "./validator.ts";

type Findings = ReturnType<typeof findings>;

/**
 * Runs of a session have the order of their acknowledgements, and are executed in it: what was acknowledged before
 * another was sent comes first, as does on one connection what was acknowledged first as new; the model is asked in
 * that order, one run has ended before the next begins, and the transcript is one chain in that order. A message that
 * joins the turn of an older one overtakes none.
 */
export const fifo: Validator = {
  promise: "fifo",
  claim: "runs of a session execute in the order of their acks",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    for (const [name, runs] of facts.runsOfSession) {
      found.looked(runs.length);
      judgeAcks(name, runs, facts, found);
      judgeExecution(name, runs, facts, found);
      judgeTurns(name, runs, found);
      if (!facts.restarted.has(name)) judgeTranscript(name, runs, facts, found);
    }
    for (const [name, calls] of facts.callsOfSession) {
      let before = calls[0]?.run;
      for (const { run } of calls) {
        if (before !== undefined && run.runOrder < before.runOrder)
          found.broken(`${shown(name)}: the model was asked for ${run.runId} after ${before.runId}`);
        before = run;
      }
    }
    return found.judgement("runs");
  },
};

function judgeAcks(name: string, runs: readonly StoredRun[], facts: Facts, found: Findings): void {
  /** Of the runs so far, the one that was first asked for the latest. */
  let latest: { readonly run: StoredRun; readonly invokedAs: number } | null = null;
  const newest = new Map<number, { readonly run: StoredRun; readonly ack: Operation }>();
  for (const run of runs) {
    const sends = facts.sends.get(nameOf(run.tenant, run.runId)) ?? [];
    const acks = sends
      .filter(({ outcome }) => outcome === "ok")
      .toSorted((a, b) => a.completedAs - b.completedAs);
    const [first] = acks;
    if (first !== undefined && latest !== null && first.completedAs < latest.invokedAs)
      found.broken(
        `${shown(name)}: ${run.runId} was acknowledged before ${latest.run.runId} was sent, and comes after it`,
        first.completedAt,
      );
    const invokedAs = Math.min(...sends.map((send) => send.invokedAs));
    if (Number.isFinite(invokedAs) && invokedAs > (latest?.invokedAs ?? -1)) latest = { run, invokedAs };
    const made = acks.find(({ status }) => status === "started");
    if (made === undefined) continue;
    const before = newest.get(made.connection);
    if (before !== undefined && made.completedAs < before.ack.completedAs)
      found.broken(
        `${shown(name)}: ${run.runId} was acknowledged before ${before.run.runId} on one connection, and comes after it`,
        made.completedAt,
      );
    newest.set(made.connection, { run, ack: made });
  }
}

function judgeExecution(name: string, runs: readonly StoredRun[], facts: Facts, found: Findings): void {
  // The database's clock decides here, and a fault may have moved it.
  if (facts.faults.some(({ kind, subject }) => kind === "clock-skew" && subject === "postgres")) return;
  let before: StoredRun | null = null;
  for (const run of runs) {
    if (run.startedAt === null) continue;
    if (before !== null && (before.endedAt === null || run.startedAt < before.endedAt))
      found.broken(`${shown(name)}: ${run.runId} began before ${before.runId} had ended`);
    before = run;
  }
}

/** Along the order of the acknowledgements the turns in which messages are answered never go back. */
function judgeTurns(name: string, runs: readonly StoredRun[], found: Findings): void {
  const order = new Map(runs.map((run) => [run.runId, run.runOrder]));
  let newest = 0;
  for (const { mergedInto, runId, runOrder } of runs) {
    const turn = mergedInto === null ? runOrder : (order.get(mergedInto) ?? 0);
    if (turn < newest || turn > runOrder)
      found.broken(`${shown(name)}: ${runId} is answered with ${mergedInto}, past those that came before it`);
    newest = Math.max(newest, turn);
  }
}

function judgeTranscript(name: string, runs: readonly StoredRun[], facts: Facts, found: Findings): void {
  const order = new Map(runs.map((run) => [run.runId, run.runOrder]));
  let before: StoredRow | null = null;
  let newest = 0;
  for (const row of facts.rowsOfSession.get(name) ?? []) {
    if (row.parentId !== (before?.messageId ?? null) && row.role !== "system")
      found.broken(`${shown(name)}: row ${row.seq} does not continue the row before it`);
    const place = order.get(row.runId ?? "") ?? newest;
    if (place < newest)
      found.broken(`${shown(name)}: row ${row.seq} of ${row.runId} stands behind a later run's`);
    newest = Math.max(newest, place);
    before = row;
  }
}
