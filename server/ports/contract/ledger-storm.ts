import { expect } from "vitest";
import { type RunId, type SessionKey, type WorkerId, workerId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import type { FencingToken, RunRecord } from "../../core/run.ts";
import type { Random } from "../random.ts";
import type { Grant, GrantRef } from "../run-ledger.ts";
import { QUEUE_MODES } from "../../core/queue-mode.ts";
import { message, newKey, rowText, type StoreWorld, textBody, unique } from "./store-world.ts";

export interface StormSize {
  readonly sessions: number;
  readonly workers: number;
  readonly messages: number;
}

/** Each round of the clock lets this pass; two of them silence a worker that sends no heartbeats. */
const ROUND_MS = 6_000;
/** Far more than any storm needs; a ledger that forgets a run ends here instead of never. */
const MAX_ROUNDS = 2_000;

/**
 * Gateways accept, workers execute and crash, the clock moves and sweeps: all at once, as fast as they can. What each
 * one was told is written down and judged: after a newer grant nothing under an older token is stored, a living worker
 * is never fenced, runs of a session are executed in the order of their acknowledgement or join the turn of an older one
 * without overtaking any, each message and each answer stands in the transcript once.
 * @returns the runs that were accepted, when all of them had ended
 */
export async function ledgerStorm(world: StoreWorld, random: Random, size: StormSize): Promise<RunRecord[]> {
  const { ledger, tenant } = world;
  const chance = (probability: number): boolean => random.float() < probability;
  const keys = Array.from({ length: size.sessions }, (_, i) => newKey(`s${i}`));
  const alive = new Set<WorkerId>();
  const accepted = new Map<SessionKey, RunId[]>(keys.map((key) => [key, []]));
  const granted = new Map<SessionKey, Grant[]>(keys.map((key) => [key, []]));
  const newest = new Map<SessionKey, FencingToken>();
  const asked = new Map<RunId, string>();
  const answers = new Map<RunId, string>();
  /** What crashed workers still hold in their hands: they wake up and write. */
  const stale: Grant[] = [];
  const storm = { accepting: true, open: true };

  const newestOf = (key: SessionKey): FencingToken => newest.get(key) ?? 0;

  /** A grant that was asked for when another one of its session was known has the larger token. */
  const noteGrant = (grant: Grant, knownBefore: FencingToken): void => {
    expect(grant.token).toBeGreaterThan(knownBefore);
    newest.set(grant.sessionKey, Math.max(grant.token, newestOf(grant.sessionKey)));
    granted.get(grant.sessionKey)!.push(grant);
  };

  /** What was sent after a newer grant was known must not be stored. */
  const judged = async <A extends { readonly kind: string }>(
    ref: GrantRef,
    write: () => Promise<A>,
  ): Promise<A> => {
    const superseded = newestOf(ref.sessionKey) > ref.token;
    const answer = await write();
    if (superseded) expect(answer.kind).toBe("fenced");
    return answer;
  };

  const gateway = async (): Promise<void> => {
    for (let i = 0; i < size.messages; i++) {
      const key = keys[Math.floor(random.float() * keys.length)]!;
      const queueMode = QUEUE_MODES[Math.floor(random.float() * QUEUE_MODES.length)];
      const input = { body: textBody("user", `<${i}>`), options: {} };
      const run = await world.accept(key, { queueMode, input });
      accepted.get(key)!.push(run.runId);
      asked.set(run.runId, `<${i}>`);
      await pause();
    }
    storm.accepting = false;
  };

  /** One life of a worker: until it crashes or everything is done. */
  const workerLife = async (): Promise<void> => {
    const id = workerId(unique("worker"));
    alive.add(id); // before it is registered, so that the clock never silences it in between
    await ledger.registerWorker({ worker: id, instance: "worker", pools: [world.pool], slots: 8 }, "absent");
    while (storm.open) {
      const key = keys[Math.floor(random.float() * keys.length)]!;
      const known = newestOf(key);
      const claim = await world.claimAs(id, key);
      if (claim.kind !== "granted") {
        await pause();
        continue;
      }
      noteGrant(claim.grant, known);
      for (let grant: Grant | null = claim.grant; grant;) {
        if (chance(0.15)) {
          alive.delete(id);
          stale.push(grant);
          return;
        }
        grant = await execute(grant, "alive");
      }
    }
  };

  /** Executes a run; answers the next one, or null. A living worker loses its grant to nobody. */
  const execute = async (grant: Grant, worker: "alive" | "crashed"): Promise<Grant | null> => {
    const expectedOf = worker === "alive" ? (kind: string) => [kind] : (kind: string) => [kind, "fenced"];
    if (chance(0.5)) {
      const messages = [message("a step")];
      const stored = await judged(grant, () => world.checkpointAs(grant, 1, { messages, steer: true }));
      expect(expectedOf("stored")).toContain(stored.kind);
    }
    const text = `answer of ${grant.runId} under ${grant.token}`;
    const finished = await judged(grant, () => world.finishAs(grant, { messages: [message(text)] }));
    expect(expectedOf("finished")).toContain(finished.kind);
    if (finished.kind === "fenced") return null;
    answers.set(grant.runId, text);
    if (finished.next) noteGrant(finished.next, grant.token);
    return finished.next;
  };

  const workerPlace = async (): Promise<void> => {
    while (storm.open) await workerLife();
  };

  const wakeStale = async (): Promise<void> => {
    while (storm.open) {
      const grant = stale.shift();
      const next = grant && (await execute(grant, "crashed"));
      if (next) stale.push(next);
      await pause();
    }
  };

  const allRuns = async (): Promise<RunRecord[]> => {
    const ids = [...accepted.values()].flat();
    return ledger.getMany(ids.map((runId) => ({ tenant, runId })));
  };

  const clockAndSweep = async (): Promise<void> => {
    for (let round = 0; storm.open; round++) {
      await world.passTime(ROUND_MS);
      await Promise.all([...alive].map((id) => ledger.heartbeat(id, "absent")));
      await Promise.all([world.sweep(), world.sweep()]);
      if (!storm.accepting && (await allRuns()).every(({ status }) => isEnded(status))) storm.open = false;
      await pause();
      expect(round, "rounds until every accepted run had ended").toBeLessThan(MAX_ROUNDS);
    }
  };

  try {
    await Promise.all([
      gateway(),
      ...Array.from({ length: size.workers }, workerPlace),
      wakeStale(),
      clockAndSweep(),
    ]);
  } finally {
    storm.open = false;
  }

  const ended = await allRuns();
  for (const key of keys) {
    // A run that was lost comes before those behind it: so the grants, one after the other, never go back.
    const grants = granted.get(key)!.toSorted((a, b) => a.token - b.token);
    const turns = [...new Set(grants.map(({ runId }) => runId))];
    const order = grants.map(({ runId }) => accepted.get(key)!.indexOf(runId));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    const mine = new Map(ended.filter((run) => run.sessionKey === key).map((run) => [run.runId, run]));
    const intoOf = (id: RunId): RunId => mine.get(id)?.result?.mergedInto ?? id;
    // Each message has a turn, its own or an older one's, and in the order of the messages the turns never go back.
    const turnOf = accepted.get(key)!.map((id) => turns.indexOf(intoOf(id)));
    expect(turnOf).toEqual(turnOf.toSorted((a, b) => a - b));
    expect([...new Set(turnOf)]).toEqual(turns.map((_, i) => i));
    const texts = (await world.transcript(key)).map((row) => String(rowText(row)));
    for (const { runId, status, result } of mine.values()) {
      const said = texts.filter((text) => text.startsWith(`answer of ${runId} `));
      const answered = status === "succeeded" && result?.mergedInto === undefined;
      expect(said).toEqual(answered ? [answers.get(runId)] : []);
      expect(texts.filter((text) => text.includes(asked.get(runId)!))).toHaveLength(1);
    }
  }
  return ended;
}

/** One turn of the event loop, so that nobody starves the others on a store that answers within the turn. */
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
