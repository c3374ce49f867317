import { placeOfRunSeq, type RunEvent, type RunEventBody } from "./run-event.ts";

/**
 * Answers a replay from what a bus has kept of one run.
 *
 * `kept` holds the run's events in order, without duplicates, possibly with holes (a publication failed, or the
 * store lost its content) and possibly only the end of the run. The answer never has a hole in it: it is everything
 * above `afterRunSeq` where that is unbroken, else what follows the last hole from the first event that carries the
 * whole text, else null. An empty answer means that the caller has missed nothing.
 */
export function replayFrom(kept: readonly RunEvent[], afterRunSeq: number): RunEvent[] | null {
  const newest = kept.at(-1);
  if (!newest || newest.runSeq < afterRunSeq) return null;
  let from = kept.length - 1;
  while (!reachesBack(kept[from], afterRunSeq)) {
    const event = kept[from];
    const before = kept[from - 1];
    if (!event || !before || !follows(before, event)) return fromWholeText(kept.slice(from));
    from--;
  }
  return kept.filter((event) => event.runSeq > afterRunSeq);
}

/** True when nothing older than this event is needed to replay after `afterRunSeq`: reading back may stop. */
export const reachesBack = (event: RunEvent | undefined, afterRunSeq: number): boolean =>
  event !== undefined && event.runSeq <= afterRunSeq + 1;

/** The first event of an attempt follows whatever the attempt before it came to. */
const follows = (before: RunEvent, event: RunEvent): boolean =>
  event.runSeq === before.runSeq + 1 || placeOfRunSeq(event.runSeq) === 1;

function fromWholeText(events: readonly RunEvent[]): RunEvent[] | null {
  const start = events.findIndex(({ body }) => carriesWholeText(body));
  return start === -1 ? null : events.slice(start);
}

const carriesWholeText = ({ type }: RunEventBody): boolean =>
  type === "started" || type === "replace" || type === "final" || type === "aborted";
