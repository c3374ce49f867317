import { exclusive } from "./exclusive.ts";
import { fifo } from "./fifo.ts";
import { honestDegradation } from "./honest-degradation.ts";
import { idempotent } from "./idempotent.ts";
import { isolated } from "./isolated.ts";
import { noLostAck } from "./no-lost-ack.ts";
import { noSilentRepetition } from "./no-silent-repetition.ts";
import { resumable } from "./resumable.ts";
import type { Validator } from "./validator.ts";

/** One for each promise of ARCHITECTURE.md, in its order. */
export const VALIDATORS: readonly Validator[] = [
  exclusive,
  noLostAck,
  idempotent,
  fifo,
  resumable,
  isolated,
  noSilentRepetition,
  honestDegradation,
];
