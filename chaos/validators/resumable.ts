import { attemptOfRunSeq } from "../../server/core/run-event.ts";
import { type Facts, factsOf, type Heard, isEnd, nameOf, shown } from "./facts.ts";
import { findings } from "./assumptions.ts";
import type { Validator } from "./validator.ts";

type Findings = ReturnType<typeof findings>;

/** What one connection has heard of a run so far. */
interface Ear {
  text: string;
  last: Heard;
}

/**
 * For a client, numbers of a run only grow, over all its connections one after another; the deltas since the last
 * replacing one are the text, at each delta and at the end; at one number everybody is told the same text; nothing
 * follows the end; and no number is of an attempt that there was not. A missing event would show as a missing delta.
 */
export const resumable: Validator = {
  promise: "resumable",
  claim: "events of an attempt are numbered without gaps, and numbers only grow",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    const closed = closingsOf(facts);
    const textAt = new Map<string, { readonly text: string; readonly client: string }>();
    for (const [name, events] of facts.heard) {
      found.looked(events.length);
      judgeEvents(name, events, closed, found);
      judgeAttempts(name, events, facts, found);
      judgeWholeText(name, events, facts, found);
      for (const { tenant, runId, runSeq, state, text, client, at } of events) {
        if (state !== "delta" || text === null) continue;
        const key = nameOf(tenant, runId, runSeq);
        const told = textAt.get(key);
        if (told === undefined) textAt.set(key, { text, client });
        else if (told.text !== text)
          found.broken(`at ${runSeq} of ${runId} ${told.client} and ${client} were told different texts`, at);
      }
    }
    return found.judgement("chat events");
  },
};

/** When connections were closed, as places in the history. */
function closingsOf({ evidence }: Facts): ReadonlyMap<number, number> {
  const closed = new Map<number, number>();
  for (const [place, record] of evidence.history.records.entries()) {
    if (record.type === "connection" && record.state === "closed") closed.set(record.connection, place);
  }
  return closed;
}

function judgeEvents(
  name: string,
  events: readonly Heard[],
  closed: ReadonlyMap<number, number>,
  found: Findings,
): void {
  const ears = new Map<number, Ear>();
  for (const event of events) {
    const { connection, heardAs, state, runSeq, at } = event;
    const who = `${shown(name)} on connection ${connection}`;
    let ear = ears.get(connection);
    if (ear === undefined) {
      // The next connection of a client goes on where the last one ended; one beside it begins anew.
      // Where that had heard the end, a gateway that learns of the run only now tells it to everybody as a whole.
      const former = [...ears].findLast(([other]) => (closed.get(other) ?? Infinity) < heardAs)?.[1];
      const before = former !== undefined && isEnd(former.last) ? undefined : former;
      ear = { text: before?.text ?? "", last: before?.last ?? event };
      ears.set(connection, ear);
    }
    const { last } = ear;
    if (last !== event) {
      if (isEnd(last) && (last.connection === connection || !isEnd(event)))
        found.broken(`${who}: ${state} after the end`, at);
      const both = state === "delta" && last.state === "delta";
      if (both ? runSeq <= last.runSeq : runSeq < last.runSeq)
        found.broken(`${who}: ${state} ${runSeq} after ${last.state} ${last.runSeq}`, at);
    }
    ear.last = event;
    if (state === "delta")
      ear.text = isWhole(event, last) ? (event.delta ?? "") : ear.text + (event.delta ?? "");
    if ((state === "delta" || state === "final") && event.text !== null && ear.text !== event.text)
      found.broken(
        `${who}: the deltas up to ${state} ${runSeq} make ${ear.text.length} characters, it tells ${event.text.length}`,
        at,
      );
  }
}

/** It replaces what was told, or is the first that this connection hears and holds all there is. */
const isWhole = (event: Heard, last: Heard): boolean =>
  event.replace || (event.connection !== last.connection && event.delta === event.text);

function judgeAttempts(name: string, events: readonly Heard[], facts: Facts, found: Findings): void {
  const [first] = events;
  const run = first && facts.runs.get(nameOf(first.tenant, first.runId));
  if (run === undefined) return;
  const beyond = events.find(
    ({ runSeq }) => runSeq > 0 && attemptOfRunSeq(runSeq) > Math.max(run.attempt, 1),
  );
  if (beyond !== undefined)
    found.broken(
      `${shown(name)}: ${beyond.runSeq} is of attempt ${attemptOfRunSeq(beyond.runSeq)}, and there were ${run.attempt}`,
      beyond.at,
    );
}

/** An answer without tools is told from its beginning: what was told of it at any time is how it begins. */
function judgeWholeText(name: string, events: readonly Heard[], facts: Facts, found: Findings): void {
  const [first] = events;
  const run = first && facts.runs.get(nameOf(first.tenant, first.runId));
  if (run?.status !== "succeeded" || run.text === null) return;
  const rows = facts.rowsOfRun.get(nameOf(run.tenant, run.runId)) ?? [];
  if (rows.some(({ role }) => role === "toolResult")) return;
  for (const { state, text, runSeq, at } of events) {
    if (state === "delta" && text !== null && !run.text.startsWith(text)) {
      found.broken(`${shown(name)}: what was told at ${runSeq} is not how the answer begins`, at);
      return;
    }
  }
}
