import { type Batcher, batcher } from "../core/batcher.ts";
import { asHAError, isHAError } from "../core/errors.ts";
import type { WorkerId } from "../core/ids.ts";
import type { LaneWidths } from "../core/lane.ts";
import type { FencingToken } from "../core/run.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import type { Grant, RunLedger } from "../ports/run-ledger.ts";
import type { Delivery, ReadySession, RunQueue } from "../ports/run-queue.ts";
import { isHandOver } from "./attempt.ts";
import type { LedgerCalls } from "./ledger-calls.ts";
import type { WorkerCounters } from "./metrics.ts";
import type { Slots } from "./slots.ts";

/** How long one `take` waits for work. Short, because a queue that hangs is noticed only after it. */
const TAKE_WAIT_MS = 2_000;
/** While the queue is away, Postgres is asked for work this often, jittered, by each worker with a free slot. */
const POLL_MS = { min: 200, max: 500 };

export interface ConsumeDeps {
  readonly worker: WorkerId;
  readonly pools: readonly string[];
  readonly widths: LaneWidths;
  readonly slots: Slots;
  readonly queue: RunQueue;
  readonly ledger: Pick<RunLedger, "claimReady">;
  readonly calls: LedgerCalls;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: WorkerCounters;
  /** Carries a granted session as far as it goes. Never rejects. */
  readonly execute: (grant: Grant) => Promise<void>;
  /** Ends with the worker id: nothing is told to the queue any more. */
  readonly over: AbortSignal;
}

export interface Consumer {
  /**
   * Takes work until the signal aborts. What was taken goes on; `idle` tells when it is done.
   * Resolves early with `uncertain` when a claim of unknown outcome may have left sessions to this worker id without
   * telling which: the id then has to be retired.
   */
  run(stop: AbortSignal): Promise<"stopped" | "uncertain">;
  /** Resolves when no session is under way and the queue has been told of all of them. */
  idle(): Promise<void>;
}

/** A session in this worker's hands. */
interface Hold {
  /** What the queue has to be told when the session leaves these hands. */
  readonly deliveries: Delivery[];
  /** Grants from polling that wait for the ones before them. */
  readonly granted: Grant[];
  /** The queue has brought the session again meanwhile: look once more before letting go. */
  again: boolean;
}

export function consumer(deps: ConsumeDeps): Consumer {
  const { worker, queue, slots, clock, random, logger, counters, calls, over } = deps;
  const ended = new AbortController();
  const holds = new Map<string, Hold>();
  const underWay = new Set<Promise<void>>();
  const returns: Batcher<Delivery, undefined> = batcher({
    name: "done",
    maxBatch: 128,
    maxWaiting: Number.MAX_SAFE_INTEGER, // bounded by the slots, as nothing is taken while the queue is away
    call: async (batch: readonly Delivery[]) => {
      await queue.done(worker, batch);
      return batch.map(() => undefined);
    },
  });

  const track = (work: Promise<void>): void => {
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  };

  /**
   * Tells the queue, for as long as it takes: to the queue a session of a live worker stays taken, and every later
   * wake-up of it would go to us.
   */
  const giveBack = async (delivery: Delivery): Promise<void> => {
    for (let tries = 0; !over.aborted; tries++) {
      try {
        await returns.submit(delivery);
        return;
      } catch (error) {
        if (!isHAError(error, "STORE_UNAVAILABLE")) {
          logger.error("worker.done_refused", { message: asHAError(error).message });
          return;
        }
        await clock.sleep(backoffMs(random, tries, 100, 2_000), over);
      }
    }
  };

  /** Claims and executes until nothing more is known of the session. Never rejects. */
  const serve = async (name: string, hold: Hold, session: Pick<ReadySession, "tenant" | "sessionKey">) => {
    let served: FencingToken = 0;
    do {
      hold.again = false;
      const grant = hold.granted.shift() ?? (await claim(session));
      // The ledger answers a claim of what we hold with the grant that we hold.
      if (grant === null || grant.token <= served) continue;
      served = grant.token;
      await deps.execute(grant);
    } while (!over.aborted && (hold.granted.length > 0 || (hold.again && !ended.signal.aborted)));
    holds.delete(name);
    slots.release();
    for (const delivery of hold.deliveries) track(giveBack(delivery));
  };

  const claim = async (session: Pick<ReadySession, "tenant" | "sessionKey">): Promise<Grant | null> => {
    try {
      const answer = await calls.claim(session);
      if (answer.kind === "granted") {
        counters.claimsGranted++;
        return answer.grant;
      }
      if (answer.kind === "busy") counters.claimsBusy++;
      else counters.claimsEmpty++;
    } catch (error) {
      if (!isHandOver(error)) logger.error("worker.claim_failed", { message: asHAError(error).message });
    }
    return null;
  };

  const receive = (session: Pick<ReadySession, "tenant" | "sessionKey">, from: Delivery | Grant): void => {
    const name = `${session.tenant}\0${session.sessionKey}`;
    const held = holds.get(name);
    const hold: Hold = held ?? { deliveries: [], granted: [], again: false };
    if ("receipt" in from) hold.deliveries.push(from);
    else hold.granted.push(from);
    if (held) {
      held.again = true;
      return;
    }
    holds.set(name, hold);
    slots.take();
    track(serve(name, hold, session));
  };

  /** Puts back what came too late: first the wake-up, which the queue remembers, then the return. */
  const refuse = async (deliveries: readonly Delivery[]): Promise<void> => {
    await queue.enqueue(deliveries).catch(() => undefined); // the sweep does the same, later
    for (const delivery of deliveries) track(giveBack(delivery));
  };

  let queueAway = false;

  const takeFromQueue = async (stop: AbortSignal): Promise<void> => {
    for (let failures = 0; !stop.aborted;) {
      await slots.whenFree(stop);
      if (slots.free() <= 0 || stop.aborted) continue;
      try {
        const deliveries = await queue.take(worker, deps.pools, slots.free(), TAKE_WAIT_MS, stop);
        if (queueAway) logger.info("worker.queue_back");
        queueAway = false;
        failures = 0;
        if (stop.aborted) await refuse(deliveries);
        else for (const delivery of deliveries) receive(delivery, delivery);
      } catch (error) {
        if (!queueAway) logger.warn("worker.queue_away", { code: asHAError(error).code });
        queueAway = true;
        await clock.sleep(100 + backoffMs(random, failures++, 100, 2_000), stop);
      }
    }
  };

  /** Once at the start, for what waited before there was a worker; then only while the queue is away. */
  const takeFromLedger = async (stop: AbortSignal): Promise<"stopped" | "uncertain"> => {
    for (let first = true; !stop.aborted; first = false) {
      if ((first || queueAway) && slots.free() > 0) {
        try {
          const grants = await deps.ledger.claimReady(worker, deps.pools, slots.free(), deps.widths);
          counters.claimsGranted += grants.length;
          for (const grant of grants) receive(grant, grant);
        } catch (error) {
          logger.warn("worker.poll_failed", { code: asHAError(error).code });
          return "uncertain";
        }
      }
      await clock.sleep(POLL_MS.min + random.float() * (POLL_MS.max - POLL_MS.min), stop);
    }
    return "stopped";
  };

  return {
    async run(stop) {
      const either = AbortSignal.any([stop, ended.signal]);
      const taking = takeFromQueue(either);
      const answer = await takeFromLedger(either);
      ended.abort();
      await taking;
      return answer;
    },
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
