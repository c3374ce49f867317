import { randomUUID } from "node:crypto";
import { ATTEMPT_STRIDE } from "../../server/core/run-event.ts";
import type { ChatPayload, Client } from "./client.ts";

/** A stream that outlasts every takeover: a piece each 50 ms for 40 s. */
const SLOW_ANSWER = '[[demo text="0123456789" repeat=100 chunks=800 delay=50]]';

/** A long answer that somebody watches. */
export interface StreamedRun {
  readonly runId: string;
  readonly sessionKey: string;
  /** Of the last event seen; 0 before the first. */
  lastRunSeq(): number;
  /** Give it every `chat` event of its connection; those of other runs are ignored. */
  push(payload: ChatPayload): void;
  /** Resolves with the time (performance.now) of the first event above `runSeq` that carries text. */
  textAfter(runSeq: number): Promise<number>;
}

/** First number of the attempt after the one that `runSeq` belongs to, less one. */
export const endOfAttempt = (runSeq: number): number =>
  (Math.floor(runSeq / ATTEMPT_STRIDE) + 1) * ATTEMPT_STRIDE;

export function streamedRun(): StreamedRun {
  const runId = randomUUID();
  let last = 0;
  let waiting: { above: number; resolve: (at: number) => void }[] = [];
  return {
    runId,
    sessionKey: `agent:main:bench-${runId}`,
    lastRunSeq: () => last,
    push(payload) {
      if (payload.runId !== runId || payload.runSeq === undefined) return;
      last = Math.max(last, payload.runSeq);
      if (payload.state !== "delta") return;
      const now = performance.now();
      for (const { above, resolve } of waiting) if (last > above) resolve(now);
      waiting = waiting.filter(({ above }) => last <= above);
    },
    textAfter: (above) => new Promise((resolve) => waiting.push({ above, resolve })),
  };
}

/** Sends the run's message from a client that is told of its session, and waits for the first text. */
export async function startStream(client: Client, run: StreamedRun): Promise<void> {
  const { sessionKey, runId } = run;
  const spoken = run.textAfter(0);
  await client.request("sessions.messages.subscribe", { key: sessionKey });
  // The run's id in the text: by it the demo model's record of calls tells them apart.
  const message = `${SLOW_ANSWER} ${runId}`;
  await client.request("chat.send", { sessionKey, message, idempotencyKey: runId });
  await spoken;
}
