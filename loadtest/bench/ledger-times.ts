import type { RunLedger } from "../../server/ports/run-ledger.ts";

export interface LedgerTimes {
  /** The ledger, with its calls timed. */
  readonly observe: (ledger: RunLedger) => RunLedger;
  /** Milliseconds of each call so far, a batch being one call; emptied by whoever begins to measure. */
  readonly callMs: Readonly<Record<"accept" | "claim" | "finish", number[]>>;
}

export function timedLedger(): LedgerTimes {
  const callMs = { accept: [] as number[], claim: [] as number[], finish: [] as number[] };
  const timed = async <Answer>(samples: number[], call: () => Promise<Answer>): Promise<Answer> => {
    const began = performance.now();
    const answer = await call();
    samples.push(performance.now() - began);
    return answer;
  };
  return {
    callMs,
    observe: (ledger) => ({
      ...ledger,
      accept: (batch) => timed(callMs.accept, () => ledger.accept(batch)),
      claim: (worker, sessions) => timed(callMs.claim, () => ledger.claim(worker, sessions)),
      finish: (batch) => timed(callMs.finish, () => ledger.finish(batch)),
    }),
  };
}
