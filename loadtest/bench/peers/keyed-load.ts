import { randomUUID } from "node:crypto";
import { MESSAGE } from "../control-path.ts";
import { cpuSecondsByKind } from "../process-table.ts";
import { cpuMsPerRun, type Figures, summary } from "../report.ts";
import type { KeyedJob, RunningPeer } from "./peer.ts";

/** Keys that are worked on at once, and jobs of each that may be under way: a message and the follow-up behind it. */
export const KEYS = 128;
export const WINDOW = 2;
/**
 * What goes before, unmeasured: keys that have more under way than anybody executes at once. Where nothing kept a key's
 * jobs apart, these would meet; those of the measured part stand too far from each other in the queue.
 */
const BURST = { keys: 8, window: 32, jobs: 512 };

export interface KeyedLoad {
  readonly jobs: number;
  /** Processes of the stores, whose CPU time counts. */
  readonly pids: readonly number[];
}

/** Clients that wait for the end of their jobs. */
export interface Waiters {
  readonly ended: (jobId: string) => void;
  readonly wait: (jobId: string) => Promise<void>;
}

export function waiters(): Waiters {
  const waiting = new Map<string, () => void>();
  return {
    ended(jobId) {
      waiting.get(jobId)?.();
      waiting.delete(jobId);
    },
    wait: (jobId) => new Promise((resolve) => void waiting.set(jobId, resolve)),
  };
}

/**
 * One producer per key. It submits its next job when the one before is acknowledged, so that the key has one order,
 * and has at most WINDOW of them under way. The clock stops when the store itself shows that nothing is left.
 */
export async function keyedLoad(
  peer: RunningPeer,
  { jobs: count, pids }: KeyedLoad,
  { wait }: Waiters,
): Promise<{ readonly figures: Figures; readonly jobs: readonly KeyedJob[] }> {
  const jobs: KeyedJob[] = [];
  // Keys of their own for each load: the stores may remember the keys of the last one.
  const name = randomUUID();
  const ackMs: number[] = [];
  const endToEndMs: number[] = [];
  let left = 0;

  const produce = async (key: string, window: number): Promise<void> => {
    const underWay: Promise<void>[] = [];
    for (let place = 1; left-- > 0; place++) {
      if (underWay.length >= window) await underWay.shift();
      const job = { id: randomUUID(), key, place, text: MESSAGE };
      jobs.push(job);
      const sentAt = performance.now();
      const ended = wait(job.id).then(() => void endToEndMs.push(performance.now() - sentAt));
      await peer.submit(job);
      ackMs.push(performance.now() - sentAt);
      underWay.push(ended);
    }
    await Promise.all(underWay);
  };
  const pass = async (part: string, size: number, keys: number, window: number): Promise<number> => {
    left = size;
    ackMs.length = endToEndMs.length = 0;
    const began = performance.now();
    const names = Array.from({ length: keys }, (_, n) => `agent:main:${name}-${part}-${n}`);
    await Promise.all(names.map((key) => produce(key, window)));
    await peer.drained();
    return (performance.now() - began) / 1_000;
  };

  await pass("burst", BURST.jobs, BURST.keys, BURST.window);
  const processes = [process.pid, ...pids];
  const cpu = cpuSecondsByKind(processes);
  const seconds = await pass("measured", count, KEYS, WINDOW);
  return {
    jobs,
    figures: {
      runsPerSecond: Math.round(count / seconds),
      ackMs: summary(ackMs),
      endToEndMs: summary(endToEndMs),
      cpuMsPerRunOf: cpuMsPerRun(cpu, cpuSecondsByKind(processes), count),
    },
  };
}
