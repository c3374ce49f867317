import type { Stage } from "./plan.ts";

/** When one message is due. */
export interface Due {
  /** Milliseconds since the load began. */
  readonly atMs: number;
  readonly phase: string;
}

/**
 * The messages of one client out of `clients` that share the rate of the stages. The gaps are exponential, so that
 * all together come as a Poisson stream, as independent people do; and they are the same in every run of the same
 * seed. The schedule never waits for an answer: a slow server gets its next messages all the same.
 */
export function* schedule(stages: readonly Stage[], clients: number, seed: string): Generator<Due, void> {
  const random = uniform(seed);
  let due = -Math.log(1 - random()) * clients;
  let counted = 0;
  let beganMs = 0;
  for (const stage of stages) {
    const total = ((stage.from + stage.to) / 2) * stage.seconds;
    while (due < counted + total) {
      yield { atMs: beganMs + secondsUntil(stage, due - counted) * 1_000, phase: stage.phase };
      due += -Math.log(1 - random()) * clients;
    }
    counted += total;
    beganMs += stage.seconds * 1_000;
  }
}

/** When the group has sent so many messages of the stage: where the area under the rate is `count`. */
function secondsUntil({ from, to, seconds }: Stage, count: number): number {
  const slope = (to - from) / seconds;
  if (Math.abs(slope) < 1e-9) return count / from;
  return (Math.sqrt(from * from + 2 * slope * count) - from) / slope;
}

export const totalSeconds = (stages: readonly Stage[]): number =>
  stages.reduce((sum, { seconds }) => sum + seconds, 0);

/** Numbers in [0, 1) from a text: mulberry32 over an FNV-1a hash. Good enough to spread, and nothing else. */
export function uniform(seed: string): () => number {
  let state = 2_166_136_261;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 16_777_619);
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
