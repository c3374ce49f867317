import type { Random } from "../ports/random.ts";

/**
 * The same sequence for the same seed, for tests and repeatable chaos runs; nothing about it is secret.
 * The generator is mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough to choose and to jitter.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;

  function next32(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  function bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => next32() & 0xff);
  }

  return {
    float: () => next32() / 2 ** 32,
    bytes,
    uuid() {
      const raw = bytes(16);
      raw[6] = (raw[6]! & 0x0f) | 0x40; // version 4, variant 10: RFC 9562, 5.4
      raw[8] = (raw[8]! & 0x3f) | 0x80;
      const hex = Buffer.from(raw).toString("hex");
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        "-",
      );
    },
  };
}
