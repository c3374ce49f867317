import type { Clock } from "../ports/clock.ts";
import type { Backlog } from "./backlog.ts";
import type { GatewayLimits } from "./protocol/limits.ts";

/** Has text that has come and is to be told. */
export interface TextTeller {
  tellTexts(): void;
}

/**
 * When texts are told: at the end of a pass of the event loop, once for all that came in it. Telling never takes all of
 * the process's time, because it is followed by a rest in proportion to how long it took. So a gateway that has more to
 * tell than it can tells it in larger pieces: it neither falls behind nor piles up what it has not told. Where there is
 * little to tell, the rest is too short to be noticed.
 */
export class TextPace {
  private readonly clock: Pick<Clock, "monotonic" | "sleep">;
  private readonly limits: Pick<GatewayLimits, "restPerTelling">;
  private readonly backlog: Pick<Backlog, "flush">;
  private readonly tellers = new Set<TextTeller>();
  private restUntil = 0;

  constructor(
    clock: Pick<Clock, "monotonic" | "sleep">,
    limits: Pick<GatewayLimits, "restPerTelling">,
    backlog: Pick<Backlog, "flush">,
  ) {
    this.clock = clock;
    this.limits = limits;
    this.backlog = backlog;
  }

  tellSoon(teller: TextTeller): void {
    this.tellers.add(teller);
    if (this.tellers.size > 1) return; // comes already
    const restMs = this.restUntil - this.clock.monotonic();
    if (restMs < 1) setImmediate(() => this.tell());
    else void this.clock.sleep(restMs).then(() => this.tell());
  }

  private tell(): void {
    const { clock } = this;
    const began = clock.monotonic();
    const tellers = [...this.tellers];
    this.tellers.clear();
    for (const teller of tellers) teller.tellTexts();
    this.backlog.flush(); // most of the work
    const now = clock.monotonic();
    this.restUntil = now + (now - began) * this.limits.restPerTelling;
  }
}
