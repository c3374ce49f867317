import { describe, expect, it, onTestFinished } from "vitest";
import { HAError } from "../core/errors.ts";
import { runId, sessionKey, tenantId, workerId } from "../core/ids.ts";
import type { HeartbeatLink } from "../ports/heartbeat-link.ts";
import type { GrantRef, HeartbeatAnswer, LockState } from "../ports/run-ledger.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { inProcessKeeper } from "./keep-lease.ts";
import { watchdog, WATCH_INTERVAL_MS } from "./watchdog.ts";

const worker = workerId("worker-1.0000abcd");

async function setup() {
  const clock = fakeClock();
  const logger = recordingLogger();
  const order: string[] = [];
  const store = {
    away: false,
    lock: "held" as LockState,
    answer: { kind: "alive", aborts: [] } as HeartbeatAnswer,
    beats: [] as LockState[],
    closed: 0,
  };
  const away = (): HAError => new HAError("STORE_UNAVAILABLE", "postgres is away");
  const link: HeartbeatLink = {
    lock: () => {
      order.push("lock");
      return store.away ? Promise.reject(away()) : Promise.resolve(store.lock);
    },
    heartbeat: (_worker, lock) => {
      store.beats.push(lock);
      return store.away ? Promise.reject(away()) : Promise.resolve(store.answer);
    },
    close: () => {
      store.closed++;
      return Promise.resolve();
    },
  };
  const aborts: GrantRef[] = [];
  const keep = () =>
    inProcessKeeper({ link: () => link, clock, random: seededRandom(1) })({
      worker,
      logger,
      register: (lock) => {
        order.push(`register ${lock}`);
        return store.away ? Promise.reject(away()) : Promise.resolve();
      },
      onAborts: (runs) => void aborts.push(...runs),
    });
  return { clock, logger, order, store, aborts, keep };
}

describe("keeping the lease", () => {
  it("takes the lock before it registers, and beats every three seconds", async () => {
    const { keep, order, clock, store } = await setup();
    const keeper = await keep();
    onTestFinished(() => keeper.stop());
    expect(order).toEqual(["lock", "register held"]);
    await clock.advance(9_500);
    expect(store.beats).toEqual(["held", "held", "held"]);
    expect(keeper.trustMs()).toBe(8_000 - 500);
    expect(keeper.lost.aborted).toBe(false);
  });

  it("stops trusting 8 s after the last confirmed heartbeat was sent, before others may take the sessions", async () => {
    const { keep, clock, store, logger } = await setup();
    const keeper = await keep();
    onTestFinished(() => keeper.stop());
    await clock.advance(3_100);
    store.away = true;
    await clock.advance(7_800);
    expect(keeper.lost.aborted).toBe(false);
    await clock.advance(200);
    expect(keeper.lost.aborted).toBe(true);
    expect(keeper.lost.reason).toMatchObject({ code: "LEASE_LOST" });
    expect(keeper.trustMs()).toBe(0);
    expect(logger.lines.filter(({ event }) => event === "worker.heartbeat_trouble")).toHaveLength(1);
  });

  it("never trusts a lease again that it gave up", async () => {
    const { keep, clock, store } = await setup();
    const keeper = await keep();
    onTestFinished(() => keeper.stop());
    store.away = true;
    await clock.advance(8_500);
    store.away = false;
    await clock.advance(10_000);
    expect(keeper.lost.aborted).toBe(true);
    expect(keeper.trustMs()).toBe(0);
  });

  it("is over at once when the store has declared the worker dead", async () => {
    const { keep, clock, store } = await setup();
    const keeper = await keep();
    onTestFinished(() => keeper.stop());
    store.answer = { kind: "dead" };
    await clock.advance(3_100);
    expect(keeper.lost.aborted).toBe(true);
  });

  it("passes on which runs are to be aborted", async () => {
    const { keep, clock, store, aborts } = await setup();
    const keeper = await keep();
    onTestFinished(() => keeper.stop());
    const marked = { tenant: tenantId("acme"), sessionKey: sessionKey("k"), runId: runId("r"), token: 1 };
    store.answer = { kind: "alive", aborts: [marked] };
    await clock.advance(3_100);
    expect(aborts).toEqual([marked]);
  });

  it("tells the store when its lock is gone", async () => {
    const { keep, clock, store } = await setup();
    const keeper = await keep();
    onTestFinished(() => keeper.stop());
    store.lock = "absent";
    await clock.advance(3_100);
    expect(store.beats).toEqual(["absent"]);
  });

  it("leaves nothing behind where it cannot register", async () => {
    const { keep, clock, store } = await setup();
    store.away = true;
    await expect(keep()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(store.closed).toBe(1);
    expect(clock.sleepers()).toBe(0);
  });

  it("stops without a timer left", async () => {
    const { keep, clock } = await setup();
    const keeper = await keep();
    await keeper.stop();
    await clock.advance(0);
    expect(clock.sleepers()).toBe(0);
    await clock.advance(60_000);
    expect(keeper.lost.aborted).toBe(false);
  });
});

describe("the watchdog", () => {
  const watched = (limitMs: number) => {
    const clock = fakeClock();
    const stop = new AbortController();
    const state = { progress: 0, stalledMs: 0 };
    const watching = watchdog(
      {
        progress: () => state.progress,
        sleep: (ms, signal) => clock.sleep(ms, signal),
        limitMs,
        onStalled: (ms) => void (state.stalledMs = ms),
      },
      stop.signal,
    );
    return { clock, stop, state, watching };
  };

  it("calls when the loop has made no progress for the limit", async () => {
    const { clock, state, watching } = watched(5_000);
    await clock.advance(4_900);
    expect(state.stalledMs).toBe(0);
    await clock.advance(200);
    await watching;
    expect(state.stalledMs).toBe(5_000);
  });

  it("is quiet while the loop goes on, and after a stop", async () => {
    const { clock, state, stop, watching } = watched(3_000);
    for (let i = 0; i < 20; i++) {
      state.progress++;
      await clock.advance(WATCH_INTERVAL_MS);
    }
    stop.abort();
    await watching;
    await clock.advance(60_000);
    expect(state.stalledMs).toBe(0);
  });
});
