import type { Facts } from "./facts.ts";
import type { Judgement, Violation } from "./validator.ts";

/** Fewer acknowledged sends than this say nothing about a promise. */
const SENDS_MIN = 5;

/**
 * What every judgement takes for granted: a history that is in order, enough traffic, and faults that really happened
 * while there was traffic. Each sentence is a reason why nothing is proven.
 */
export function doubtsAbout({ operations, faults, unsound, window }: Facts): string[] {
  const acknowledged = operations.filter(
    ({ method, outcome }) => (method === "send" || method === "agent") && outcome === "ok",
  ).length;
  return [
    ...unsound.slice(0, 5),
    ...(acknowledged < SENDS_MIN
      ? [`only ${acknowledged} sends were acknowledged, ${SENDS_MIN} are needed`]
      : []),
    ...faults.flatMap(({ id, kind, subject, failed, injectedAt, shownAt }) => {
      const name = `${kind} of ${subject} (${id})`;
      if (failed !== null) return [`${name} could not be done: ${failed}`];
      if (injectedAt === null || shownAt === null) return [`${name} was not shown to have happened`];
      const inside = injectedAt >= window.from && injectedAt <= window.to;
      return inside ? [] : [`${name} came at ${Math.round(injectedAt)} ms, outside the traffic`];
    }),
  ];
}

/** Collects violations and the count of what was looked at; `judgement` adds the common doubts. */
export function findings(facts: Facts) {
  const violations: Violation[] = [];
  let checked = 0;
  return {
    /** One more thing was looked at. */
    looked: (times = 1): void => void (checked += times),
    broken: (what: string, at: number | null = null): void => void violations.push({ what, at }),
    /** `subjects` names what had to be there: nothing of it proves nothing. */
    judgement(subjects: string, doubts: readonly string[] = []): Judgement {
      const nothing = checked === 0 ? [`there were no ${subjects} to look at`] : [];
      return { checked, violations, unproven: [...doubtsAbout(facts), ...doubts, ...nothing] };
    },
  };
}
