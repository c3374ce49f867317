import { randomBytes, randomUUID } from "node:crypto";
import type { Random } from "../../ports/random.ts";

/** The machine's own chance. `float` is for jitter and choices; what must not be guessed comes from `bytes`. */
export const systemRandom: Random = {
  float: () => Math.random(),
  uuid: () => randomUUID(),
  bytes: (length) => randomBytes(length),
};
