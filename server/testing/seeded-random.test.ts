import { expect, it } from "vitest";
import { seededRandom } from "./seeded-random.ts";

const sequence = (seed: number): unknown[] => {
  const random = seededRandom(seed);
  return [random.float(), random.uuid(), [...random.bytes(5)], random.float()];
};

it("repeats itself for the same seed and not for another", () => {
  expect(sequence(7)).toEqual(sequence(7));
  expect(sequence(7)).not.toEqual(sequence(8));
});

it("spreads evenly over [0, 1)", () => {
  const random = seededRandom(1);
  const buckets = Array.from({ length: 10 }, () => 0);
  for (let draw = 0; draw < 10_000; draw++) {
    const bucket = Math.floor(random.float() * 10);
    buckets[bucket] = buckets[bucket]! + 1;
  }
  expect(Math.min(...buckets)).toBeGreaterThan(900);
  expect(Math.max(...buckets)).toBeLessThan(1_100);
});

it("makes UUIDs of version 4 that differ", () => {
  const random = seededRandom(1);
  const uuids = Array.from({ length: 1_000 }, () => random.uuid());
  expect(new Set(uuids).size).toBe(1_000);
  for (const uuid of uuids)
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u);
});
