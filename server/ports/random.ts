/** Chance of this process, a port so that tests and chaos runs can be repeated from a seed. */
export interface Random {
  /** In [0, 1). */
  float(): number;
  /** A version 4 UUID. */
  uuid(): string;
  /** Cryptographically strong except in seeded adapters, which are for tests only. */
  bytes(length: number): Uint8Array;
}

/** Full jitter: uniformly in [0, min(capMs, baseMs * 2^attempt)). Source: AWS Architecture Blog, "Exponential Backoff And Jitter". */
export function backoffMs(random: Random, attempt: number, baseMs: number, capMs: number): number {
  return random.float() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}
