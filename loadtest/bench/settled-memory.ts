import { residentBytes } from "./process-table.ts";

/** Memory counts as settled when it has changed by less than this share over the pause. */
const SETTLED = { share: 0.01, pauseMs: 3_000, triesMax: 10 };

/** Resident bytes once they hardly change any more: garbage of what came before is gone by then. */
export async function settledBytes(pid: number): Promise<number> {
  let bytes = residentBytes(pid);
  for (let tries = 0; tries < SETTLED.triesMax; tries++) {
    await new Promise((resolve) => setTimeout(resolve, SETTLED.pauseMs));
    const now = residentBytes(pid);
    const still = Math.abs(now - bytes) < bytes * SETTLED.share;
    bytes = now;
    if (still) break;
  }
  return bytes;
}
