import { expect, it } from "vitest";
import { randomContract } from "../ports/contract/random.contract.ts";
import { seededRandom } from "./seeded-random.ts";

randomContract("seeded", () => seededRandom(1));

const sequence = (seed: number): unknown[] => {
  const random = seededRandom(seed);
  return [random.float(), random.uuid(), [...random.bytes(5)], random.float()];
};

it("repeats itself for the same seed and not for another", () => {
  expect(sequence(7)).toEqual(sequence(7));
  expect(sequence(7)).not.toEqual(sequence(8));
});
