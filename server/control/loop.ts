import { asHAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { backoffMs, type Random } from "../ports/random.ts";

/** Longest pause after failures: a store that is back is noticed this soon. */
const MAX_PAUSE_MS = 2_000;
/** A pass may take a tenth of the time at most: whoever finds much to do does it less often. */
const SHARE = 0.1;

export interface LoopDeps {
  /** For the log. */
  readonly name: string;
  /** Between the starts of two passes, jittered by a fifth either way. */
  readonly intervalMs: number;
  readonly pass: () => Promise<unknown>;
  /** Share of the time that passes may take; default a tenth. */
  readonly share?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Repeats a pass until stopped. Errors are logged once per episode, and its end too. Never rejects. */
export async function loop(deps: LoopDeps, stop: AbortSignal): Promise<void> {
  const { name, intervalMs, pass, share = SHARE, clock, random, logger } = deps;
  let failures = 0;
  while (!stop.aborted) {
    const startedAt = clock.monotonic();
    try {
      await pass();
      if (failures > 0) logger.info("control.pass_recovered", { name, failures });
      failures = 0;
    } catch (error) {
      const { code, message } = asHAError(error);
      if (failures++ === 0) logger.warn("control.pass_failed", { name, code, message });
    }
    const took = clock.monotonic() - startedAt;
    const rest = Math.max(intervalMs - took, took * (1 / share - 1));
    const jittered = rest * (0.8 + 0.4 * random.float());
    await clock.sleep(
      failures > 0 ? intervalMs / 2 + backoffMs(random, failures, intervalMs, MAX_PAUSE_MS) : jittered,
      stop,
    );
  }
}
