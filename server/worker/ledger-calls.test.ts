import { describe, expect, it } from "vitest";
import { HAError } from "../core/errors.ts";
import { sessionKey, tenantId, workerId } from "../core/ids.ts";
import type { RunLedger } from "../ports/run-ledger.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { ledgerCalls } from "./ledger-calls.ts";
import { newWorkerCounters } from "./metrics.ts";

const session = (n: number) => ({ tenant: tenantId("acme"), sessionKey: sessionKey(`agent:main:s${n}`) });

function setup(claim: RunLedger["claim"]) {
  const clock = fakeClock();
  const lost = new AbortController();
  const lease = { ms: 8_000 };
  const logger = recordingLogger();
  const sizes: number[] = [];
  const ledger = {
    claim: (...args: Parameters<RunLedger["claim"]>) => {
      sizes.push(args[1].length);
      return claim(...args);
    },
  } as RunLedger;
  const calls = ledgerCalls({
    ledger,
    worker: workerId("worker-1.00000000"),
    keeper: { trustMs: () => lease.ms, lost: lost.signal },
    slots: 8,
    clock,
    random: seededRandom(1),
    logger,
    counters: newWorkerCounters(),
  });
  return { calls, clock, lost, lease, sizes, logger };
}

const empty: RunLedger["claim"] = (_worker, sessions) =>
  Promise.resolve(sessions.map(() => ({ kind: "empty" as const })));
const away: RunLedger["claim"] = () => Promise.reject(new HAError("STORE_UNAVAILABLE", "postgres is away"));

describe("the ledger as a worker calls it", () => {
  it("claims in one call what was delivered together", async () => {
    const { calls, sizes } = setup(empty);
    await Promise.all([1, 2, 3].map((n) => calls.claim(session(n))));
    expect(sizes).toEqual([3]);
  });

  it("sends nothing once the lease cannot be trusted, also before anybody has said that it is lost", async () => {
    const { calls, sizes, lease } = setup(empty);
    lease.ms = 0; // a process that wakes from a pause: its timers have not run yet
    await expect(calls.claim(session(1))).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(sizes).toEqual([]);
  });

  it("tries again with pauses while the store is away, says so once, and stops when the lease is lost", async () => {
    const { calls, clock, lost, sizes, logger } = setup(away);
    const claimed = calls.claim(session(1));
    claimed.catch(() => {});
    for (let i = 0; i < 50; i++) await clock.advance(100);
    expect(sizes.length).toBeGreaterThan(4);
    expect(sizes.length).toBeLessThan(40);
    lost.abort(new HAError("LEASE_LOST", "gone"));
    await expect(claimed).rejects.toMatchObject({ code: "LEASE_LOST", message: "gone" });
    expect(logger.lines.filter(({ event }) => event === "worker.store_away")).toHaveLength(1);
    expect(clock.sleepers()).toBe(0);
  });

  it("lets go of a call that hangs when the lease is lost", async () => {
    const { calls, lost } = setup(() => new Promise(() => {}));
    const claimed = calls.claim(session(1));
    lost.abort(new HAError("LEASE_LOST", "gone"));
    await expect(claimed).rejects.toMatchObject({ code: "LEASE_LOST" });
  });

  it("does not repeat what the store has refused", async () => {
    const { calls, sizes } = setup(() => Promise.reject(new HAError("INTERNAL", "no such function")));
    await expect(calls.claim(session(1))).rejects.toMatchObject({ code: "INTERNAL" });
    expect(sizes).toEqual([1]);
  });
});
