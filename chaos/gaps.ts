import { factsOf, type Heard, isEnd } from "./validators/facts.ts";
import type { Evidence } from "./validators/validator.ts";

/** How long clients waited for the next event of a run that was under way when a fault of this kind came. */
export interface Gap {
  /** Kind of the fault and what it was done to, without its number: `pause worker`. */
  readonly fault: string;
  /** Times such a fault was injected. */
  readonly faults: number;
  /** Pairs of a run and a client that was hearing it. */
  readonly affected: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

/** Measured over runs of which something had been heard before the fault, and whose end had not. */
export function gapsOf(evidence: Evidence): Gap[] {
  const { faults, heard } = factsOf(evidence);
  const streams = [...heard.values()];
  const byKind = Map.groupBy(
    faults.filter(({ injectedAt, shownAt }) => injectedAt !== null && shownAt !== null),
    ({ kind, subject }) => `${kind} ${subject.replace(/-\d+$/, "")}`,
  );
  return [...byKind].map(([fault, of]) => {
    const gaps = of
      .flatMap(({ injectedAt }) => streams.flatMap((events) => gapAfter(events, injectedAt ?? 0) ?? []))
      .toSorted((a, b) => a - b);
    const at = (share: number): number | null => gaps[Math.ceil(share * gaps.length) - 1] ?? null;
    return {
      fault,
      faults: of.length,
      affected: gaps.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
  });
}

/** Null when the client was not hearing the run at that time. */
function gapAfter(events: readonly Heard[], at: number): number | null {
  if (at < (events[0]?.at ?? at) || at >= (events.at(-1)?.at ?? at)) return null;
  const next = events.findIndex((event) => event.at > at);
  const before = events[next - 1];
  const after = events[next];
  return before === undefined || after === undefined || isEnd(before) ? null : Math.round(after.at - at);
}
