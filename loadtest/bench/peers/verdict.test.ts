import { expect, it } from "vitest";
import type { KeyedJob } from "./peer.ts";
import { isClean, judge, overlapCounter } from "./verdict.ts";

const job = (key: string, place: number): KeyedJob => ({ id: `${key}-${place}`, key, place, text: "" });
const JOBS = [job("a", 1), job("a", 2), job("b", 1)];

it("finds nothing where each job had one effect in the order of its key", () => {
  const verdict = judge(JOBS, ["a-1", "b-1", "a-2"], 0);
  expect(isClean(verdict)).toBe(true);
});

it("counts what is missing, repeated and out of order", () => {
  const verdict = judge(JOBS, ["a-2", "a-1", "a-1"], 0);
  expect(verdict).toEqual({ jobsWithoutEffect: 1, repeatedEffects: 1, outOfOrder: 2, overlaps: 0 });
});

it("counts an execution that begins while another one of its key is under way", async () => {
  const { during, overlaps } = overlapCounter();
  let end = (): void => {};
  const first = during("a", () => new Promise<void>((resolve) => (end = resolve)));
  await during("b", async () => {});
  expect(overlaps()).toBe(0);
  await during("a", async () => {});
  expect(overlaps()).toBe(1);
  end();
  await first;
  await during("a", async () => {});
  expect(overlaps()).toBe(1);
});
