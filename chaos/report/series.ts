import type { Point } from "../../loadtest/report/chart.ts";
import { type Facts, isEnd, nameOf, type Operation } from "../validators/facts.ts";

/** Width of one point of the charts. */
const BUCKET_MS = 500;

/** What the clients experienced through time; x is seconds since the start. */
export interface Experience {
  /** Share of requests that were answered as they should be, by when they were made; 0 to 100. */
  readonly available: readonly Point[];
  readonly ackP50: readonly Point[];
  readonly ackMax: readonly Point[];
  readonly endP50: readonly Point[];
  readonly endMax: readonly Point[];
  /** Events a second, over all clients. */
  readonly events: readonly Point[];
  readonly answered: readonly Point[];
  readonly refused: readonly Point[];
  readonly lost: readonly Point[];
}

export function experienceOf(facts: Facts, end: number): Experience {
  const { evidence, operations } = facts;
  const asked = bucketed(operations, ({ at }) => at, end);
  const acked = bucketed(firstAcks(facts), ({ at }) => at, end);
  const ended = bucketed(endings(facts), ({ at }) => at, end);
  const chats = bucketed(
    evidence.history.records.filter((record) => record.type === "chat"),
    ({ at }) => at,
    end,
  );
  const rate = (wanted: Operation["outcome"]): Point[] =>
    series(asked, (of) => of.filter(({ outcome }) => outcome === wanted).length * (1_000 / BUCKET_MS));
  return {
    available: series(asked, (of) =>
      of.length === 0 ? null : (of.filter(isServed).length / of.length) * 100,
    ),
    ackP50: series(acked, (of) =>
      percentile(
        of.map(({ tookMs }) => tookMs),
        0.5,
      ),
    ),
    ackMax: series(acked, (of) =>
      percentile(
        of.map(({ tookMs }) => tookMs),
        1,
      ),
    ),
    endP50: series(ended, (of) =>
      percentile(
        of.map(({ tookMs }) => tookMs),
        0.5,
      ),
    ),
    endMax: series(ended, (of) =>
      percentile(
        of.map(({ tookMs }) => tookMs),
        1,
      ),
    ),
    events: series(chats, (of) => of.length * (1_000 / BUCKET_MS)),
    answered: rate("ok"),
    refused: rate("refused"),
    lost: rate("lost"),
  };
}

/** Answered, or refused for what the client did itself: another use of a key. */
const isServed = ({ error, intent, outcome }: Operation): boolean =>
  outcome === "ok" || (outcome === "refused" && (intent === "conflict" || error?.retryable === false));

interface Took {
  /** When it was asked for. */
  readonly at: number;
  readonly tookMs: number;
}

/** From the first try to the first answer that accepted it, whatever it took. */
function firstAcks({ sends }: Facts): Took[] {
  return [...sends.values()].flatMap((of) => {
    const [first] = of;
    const acks = of.flatMap(({ completedAt, outcome }) =>
      outcome === "ok" && completedAt !== null ? [completedAt] : [],
    );
    return first === undefined || acks.length === 0
      ? []
      : [{ at: first.at, tookMs: Math.min(...acks) - first.at }];
  });
}

/** From the first try to the end that the sender heard. */
function endings({ heard, sends }: Facts): Took[] {
  return [...sends].flatMap(([name, [first]]) => {
    if (first === undefined) return [];
    const end = (heard.get(nameOf(name, first.client)) ?? []).find(isEnd);
    return end === undefined ? [] : [{ at: first.at, tookMs: end.at - first.at }];
  });
}

function bucketed<T>(all: readonly T[], at: (one: T) => number, end: number): T[][] {
  const buckets: T[][] = Array.from({ length: Math.ceil(end / BUCKET_MS) || 1 }, () => []);
  for (const one of all) buckets[Math.min(Math.floor(at(one) / BUCKET_MS), buckets.length - 1)]?.push(one);
  return buckets;
}

const series = <T>(buckets: readonly T[][], value: (of: readonly T[]) => number | null): Point[] =>
  buckets.map((of, i) => ({ x: ((i + 0.5) * BUCKET_MS) / 1_000, y: value(of) }));

function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? null;
}
