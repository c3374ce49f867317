import { describe, expect, it } from "vitest";
import { backoffMs, type Random } from "../random.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u;
const DRAWS = 10_000;

/** What every Random promises, from whatever source. */
export function randomContract(adapter: string, open: () => Random): void {
  describe(`Random: ${adapter}`, () => {
    it("spreads its floats evenly over [0, 1)", () => {
      const random = open();
      const buckets = Array.from({ length: 10 }, () => 0);
      for (let draw = 0; draw < DRAWS; draw++) {
        const value = random.float();
        expect(value >= 0 && value < 1).toBe(true);
        const bucket = Math.floor(value * 10);
        buckets[bucket] = buckets[bucket]! + 1;
      }
      // Ten standard deviations: an honest source fails once in the age of the universe.
      for (const hits of buckets) expect(Math.abs(hits - DRAWS / 10)).toBeLessThan(300);
    });

    it("makes UUIDs of version 4, each another one", () => {
      const random = open();
      const uuids = Array.from({ length: 1_000 }, () => random.uuid());
      for (const uuid of uuids) expect(uuid).toMatch(UUID_V4);
      expect(new Set(uuids).size).toBe(uuids.length);
    });

    it("gives as many bytes as asked for, of all values and never the same ones again", () => {
      const random = open();
      for (const length of [0, 1, 16, 333]) expect(random.bytes(length)).toHaveLength(length);
      expect(random.bytes(16)).not.toEqual(random.bytes(16));
      expect(new Set(random.bytes(DRAWS)).size).toBe(256);
    });

    it("jitters a back-off below its growing bound, and below its cap", () => {
      const random = open();
      for (let attempt = 0; attempt < 100; attempt++) {
        const wait = backoffMs(random, attempt, 100, 2_000);
        expect(wait >= 0 && wait < Math.min(2_000, 100 * 2 ** attempt)).toBe(true);
      }
    });
  });
}
