import type { KeyedJob } from "./peer.ts";

/** What really happened in one pass. All four zero: one effect per job, one at a time and in order within each key. */
export interface Verdict {
  readonly jobsWithoutEffect: number;
  /** Effects of a job beyond its first. */
  readonly repeatedEffects: number;
  /** Effects that stand behind one of a later job of their key. */
  readonly outOfOrder: number;
  /** Executions that began while another one of the same key was under way. */
  readonly overlaps: number;
}

export const isClean = (verdict: Verdict): boolean => Object.values(verdict).every((count) => count === 0);

/** Judges a pass by the ids of the jobs whose effects the store holds afterwards, in their order. */
export function judge(jobs: readonly KeyedJob[], effects: readonly string[], overlaps: number): Verdict {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const seen = new Set<string>();
  const last = new Map<string, number>();
  let repeatedEffects = 0;
  let outOfOrder = 0;
  for (const id of effects) {
    const { key, place } = byId.get(id)!;
    if (seen.has(id)) repeatedEffects++;
    seen.add(id);
    const before = last.get(key) ?? 0;
    if (place < before) outOfOrder++;
    last.set(key, Math.max(before, place));
  }
  const jobsWithoutEffect = jobs.filter(({ id }) => !seen.has(id)).length;
  return { jobsWithoutEffect, repeatedEffects, outOfOrder, overlaps };
}

/** Counts executions that overlap within a key. */
export function overlapCounter(): {
  readonly during: <T>(key: string, work: () => Promise<T>) => Promise<T>;
  readonly overlaps: () => number;
} {
  const active = new Map<string, number>();
  let overlaps = 0;
  return {
    async during(key, work) {
      const now = active.get(key) ?? 0;
      if (now > 0) overlaps++;
      active.set(key, now + 1);
      try {
        return await work();
      } finally {
        active.set(key, (active.get(key) ?? 1) - 1);
      }
    },
    overlaps: () => overlaps,
  };
}
