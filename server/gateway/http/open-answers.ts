import type { HAError } from "../../core/errors.ts";
import type { Clock } from "../../ports/clock.ts";

/** An HTTP request that waits for a run. */
export interface OpenAnswer {
  /** By whose right it waits, as `Principal.tokenId`. */
  readonly tokenId: string;
  /** Ends it with that error, as honestly as can be at its point. */
  cut(error: HAError): void;
  /** Called every few seconds: keeps proxies from taking silence for an end, and cuts who no longer reads. */
  tick(): void;
  /** The gateway ends at once: that the connection breaks is nobody's wish to abort. */
  abandon(): void;
}

/** Time between two ticks, in milliseconds. */
export const TICK_MS = 15_000;
const LOOK_MS = 50;

/** All HTTP requests of a gateway that wait for runs; one timer looks after them. */
export class OpenAnswers {
  private readonly open = new Set<OpenAnswer>();

  get size(): number {
    return this.open.size;
  }

  /** The answer takes it out again. */
  add(answer: OpenAnswer): () => void {
    this.open.add(answer);
    return () => this.open.delete(answer);
  }

  tick(): void {
    for (const answer of this.open) answer.tick();
  }

  abandon(): void {
    for (const answer of this.open) answer.abandon();
  }

  *tokenIds(): Iterable<string> {
    for (const { tokenId } of this.open) yield tokenId;
  }

  cutTokens(isGone: (tokenId: string) => boolean, error: HAError): void {
    for (const answer of this.open) if (isGone(answer.tokenId)) answer.cut(error);
  }

  /** Waits for answers under way, at most so long; then ends the rest with the error. */
  async drain(clock: Clock, graceMs: number, error: HAError): Promise<void> {
    for (let waited = 0; this.open.size > 0 && waited < graceMs; waited += LOOK_MS)
      await clock.sleep(LOOK_MS);
    for (const answer of this.open) answer.cut(error);
  }
}
