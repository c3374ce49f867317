import type { Clock } from "../../server/ports/clock.ts";
import type { Random } from "../../server/ports/random.ts";
import type { HistoryWriter } from "../history/writer.ts";
import type { Subject, Target } from "../targets/target.ts";

/** What a fault is done with. */
export interface FaultContext {
  readonly target: Target;
  readonly history: HistoryWriter;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts when the run is interrupted: what was done is then taken back at once. */
  readonly signal: AbortSignal;
  /** The worker that executes a run of the hot session now; null while there is none. */
  holder(): Promise<string | null>;
  /** Makes so many connections, drops them, and makes them anew; answers how many were let in. */
  storm(clients: number, times: number): Promise<number>;
  /** Calls of this run's messages that were made with these directives, as the demo model tells. */
  modelCalls(
    directives: string,
  ): Promise<readonly { readonly status: number | null; readonly aborted: boolean }[]>;
  readonly progress: (text: string) => void;
}

/** One fault in the history, from its injection to the evidence that it happened and its end. */
export interface FaultStory {
  injected(detail: string): void;
  shown(detail: string): void;
  healed(detail: string): void;
}

/** Begins a fault's story. Ids are unique in a history. */
export function tellFault(context: FaultContext, id: string, kind: string, subject: string): FaultStory {
  const tell = (phase: "injected" | "shown" | "healed", detail: string): void => {
    context.history.write({ type: "fault", id, kind, subject, phase, detail });
    if (phase !== "shown") context.progress(`${kind} ${subject}: ${detail}`);
  };
  return {
    injected: (detail) => tell("injected", detail),
    shown: (detail) => tell("shown", detail),
    healed: (detail) => tell("healed", detail),
  };
}

/** The pools that a plural names. */
const POOLS: Readonly<Record<string, Subject["pool"]>> = { gateways: "gateway", workers: "worker" };
const HOLDER_WAIT_MS = 5_000;
const HOLDER_POLL_MS = 5;
/** How long the last fault may take to be over before the next one comes all the same. */
const WELL_WITHIN_MS = 3_000;
const SOMEBODY_WITHIN_MS = 10_000;

/**
 * Who is meant, now: an id as it is, or a choice made when the fault comes.
 * @throws Error where nobody fits
 */
export async function choose(context: FaultContext, subject: string): Promise<string[]> {
  const { clock, random, signal, target } = context;
  const members = async (pool: Subject["pool"]): Promise<string[]> =>
    (await target.subjects()).filter((one) => one.pool === pool && one.pid !== null).map(({ id }) => id);
  const pool = POOLS[subject];
  if (pool !== undefined) return members(pool);
  if (subject !== "holder" && !subject.startsWith("any-")) return [subject];
  // One of many is broken, not the last one that is left of an earlier fault.
  await waitFor(context, async () => (await target.health()).healthy, WELL_WITHIN_MS, 100);
  if (subject !== "holder") {
    const kind = subject === "any-gateway" ? "gateway" : "worker";
    await waitFor(context, async () => (await members(kind)).length > 0, SOMEBODY_WITHIN_MS);
    const all = await members(kind);
    const chosen = all[Math.floor(random.float() * all.length)];
    if (chosen === undefined) throw new Error(`no ${subject.slice(4)} runs`);
    return [chosen];
  }
  const until = clock.monotonic() + HOLDER_WAIT_MS;
  while (clock.monotonic() < until && !signal.aborted) {
    const holder = await context.holder();
    if (holder !== null) return [holder];
    await clock.sleep(HOLDER_POLL_MS, signal);
  }
  throw new Error("no worker executes a run of the hot session");
}

/** The process of a subject as it is now. @throws Error when it has none */
export async function pidOf(target: Target, id: string): Promise<number> {
  const pid = (await target.subjects()).find((subject) => subject.id === id)?.pid ?? null;
  if (pid === null) throw new Error(`${id} has no process`);
  return pid;
}

/** Asks until it is so; false when time is up or the run is interrupted. */
export async function waitFor(
  { clock, signal }: Pick<FaultContext, "clock" | "signal">,
  is: () => boolean | Promise<boolean>,
  timeoutMs: number,
  pollMs = 20,
): Promise<boolean> {
  const until = clock.monotonic() + timeoutMs;
  for (;;) {
    if (await is()) return true;
    if (signal.aborted || clock.monotonic() >= until) return false;
    await clock.sleep(pollMs, signal);
  }
}
