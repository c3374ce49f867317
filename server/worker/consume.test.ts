import { describe, expect, it, onTestFinished } from "vitest";
import { memoryRunQueue } from "../adapters/memory/run-queue.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { HAError } from "../core/errors.ts";
import { sessionKey, workerId } from "../core/ids.ts";
import type { ClaimAnswer, Grant } from "../ports/run-ledger.ts";
import type { Delivery, ReadySession } from "../ports/run-queue.ts";
import { breakable } from "../testing/breakable.ts";
import { TENANT } from "../testing/memory-pool.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { until } from "../testing/until.ts";
import { consumer, type ConsumeDeps } from "./consume.ts";
import { newWorkerCounters } from "./metrics.ts";
import { slots } from "./slots.ts";

const worker = workerId("worker-1.00000000");
const ready = (n: number): ReadySession => ({
  tenant: TENANT,
  sessionKey: sessionKey(`agent:main:s${n}`),
  lane: "main",
  pool: "shared",
});
const grantOf = (session: Pick<ReadySession, "sessionKey">, token: number): Grant =>
  ({ ...session, tenant: TENANT, token }) as Grant;

function setup(total = 4) {
  const queue = breakable(
    memoryRunQueue({ clock: systemClock, random: seededRandom(1), laneWidths: TEST_CATALOG.laneWidths }),
  );
  const stop = new AbortController();
  const over = new AbortController();
  /** Ends of the sessions under way, by key. */
  const underWay = new Map<string, () => void>();
  const executed: string[] = [];
  const claims: string[] = [];
  let token = 0;
  const ledger = {
    answer: (session: Pick<ReadySession, "sessionKey">): ClaimAnswer => ({
      kind: "granted",
      grant: grantOf(session, ++token),
    }),
    claimReady: (): Promise<Grant[]> => Promise.resolve([]),
  };
  const counters = newWorkerCounters();
  const deps: ConsumeDeps = {
    worker,
    pools: ["shared"],
    widths: TEST_CATALOG.laneWidths,
    slots: slots(total),
    queue: queue.port,
    ledger: { claimReady: () => ledger.claimReady() },
    calls: {
      claim: (session: { sessionKey: string }) => {
        claims.push(session.sessionKey);
        return Promise.resolve(ledger.answer(session as never));
      },
    } as unknown as ConsumeDeps["calls"],
    clock: systemClock,
    random: seededRandom(2),
    logger: recordingLogger(),
    counters,
    execute: (grant) => {
      executed.push(grant.sessionKey);
      return new Promise((resolve) => {
        underWay.set(grant.sessionKey, () => {
          underWay.delete(grant.sessionKey);
          resolve();
        });
      });
    },
    over: over.signal,
  };
  const work = consumer(deps);
  const running = work.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    over.abort();
    for (const end of underWay.values()) end();
    await running;
  });
  const depth = () => queue.port.depth("shared");
  return { queue, stop, underWay, executed, claims, ledger, counters, work, running, depth };
}

describe("consuming the queue", () => {
  it("executes no more sessions at once than it has slots", async () => {
    const { queue, underWay, executed } = setup(3);
    await queue.port.enqueue(Array.from({ length: 10 }, (_, n) => ready(n)));
    let most = 0;
    while (executed.length < 10) {
      await until(() => underWay.size > 0);
      most = Math.max(most, underWay.size);
      underWay.values().next().value?.();
    }
    expect(most).toBe(3);
    expect(new Set(executed).size).toBe(10);
  });

  it("gives back what is busy or empty without executing it", async () => {
    const { queue, ledger, executed, counters, depth } = setup();
    ledger.answer = ({ sessionKey: key }) => ({ kind: key.endsWith("1") ? "busy" : "empty" });
    await queue.port.enqueue([ready(1), ready(2)]);
    await until(
      async () => counters.claimsBusy + counters.claimsEmpty === 2 && (await depth()).delivered === 0,
    );
    expect(executed).toEqual([]);
    expect(counters).toMatchObject({ claimsBusy: 1, claimsEmpty: 1, claimsGranted: 0 });
  });

  it("looks once more at a session that came again while it was under way", async () => {
    const { queue, underWay, executed, claims, ledger } = setup();
    await queue.port.enqueue([ready(1)]);
    await until(() => underWay.size === 1);
    await queue.port.enqueue([ready(1)]);
    ledger.answer = () => ({ kind: "empty" });
    underWay.values().next().value?.();
    await until(() => claims.length === 2);
    expect(executed).toHaveLength(1);
  });

  it("works on a session once, though the queue lost its memory and delivers it twice", async () => {
    const { queue, underWay, executed, claims, work, ledger, stop } = setup();
    const twice: Delivery[] = [{ ...ready(1), receipt: "1" }];
    const take = queue.port.take.bind(queue.port);
    Object.assign(queue.port, {
      take: (...args: Parameters<typeof take>) => {
        const next = twice.shift();
        return next === undefined ? take(...args) : Promise.resolve([next]);
      },
    });
    await queue.port.enqueue([ready(2)]); // ends the take that waits already
    await until(() => underWay.has(ready(1).sessionKey));
    twice.push({ ...ready(1), receipt: "2" });
    underWay.get(ready(2).sessionKey)?.();
    await queue.port.enqueue([ready(3)]);
    await until(() => twice.length === 0 && underWay.has(ready(3).sessionKey));
    expect(claims.filter((key) => key === ready(1).sessionKey)).toHaveLength(1);
    ledger.answer = () => ({ kind: "empty" });
    underWay.get(ready(1).sessionKey)?.();
    await until(() => claims.filter((key) => key === ready(1).sessionKey).length === 2);
    expect(executed.filter((key) => key === ready(1).sessionKey)).toHaveLength(1);
    stop.abort();
    underWay.get(ready(3).sessionKey)?.();
    await work.idle();
  });

  it("does not execute a grant again that a repeated claim answers with", async () => {
    const { queue, underWay, executed, ledger, claims } = setup();
    const grant = grantOf(ready(1), 7);
    ledger.answer = () => ({ kind: "granted", grant });
    let poll: Grant[] = [grant];
    ledger.claimReady = () => {
      const grants = poll;
      poll = [];
      return Promise.resolve(grants);
    };
    queue.break("before", ["take"]);
    await until(() => underWay.size === 1);
    queue.mend();
    await queue.port.enqueue([ready(1)]);
    await until(async () => (await queue.port.depth("shared")).delivered === 1);
    underWay.values().next().value?.();
    await until(() => claims.length === 1);
    await until(async () => (await queue.port.depth("shared")).delivered === 0);
    expect(executed).toHaveLength(1);
  });

  it("puts back what the queue hands out after it was told to stop", async () => {
    const { queue, stop, running, executed, work } = setup();
    const take = queue.port.take.bind(queue.port);
    await until(() => queue.calls.includes("take"));
    let held: (() => void) | null = null;
    Object.assign(queue.port, {
      take: async (...args: Parameters<typeof take>) => {
        await new Promise<void>((resolve) => (held = resolve));
        return take(args[0], args[1], args[2], 0);
      },
    });
    await queue.port.enqueue([ready(1)]);
    await until(() => executed.length === 1 && held !== null);
    await queue.port.enqueue([ready(2)]);
    stop.abort();
    held!();
    await running;
    expect(executed).toEqual([ready(1).sessionKey]);
    await until(async () => (await queue.port.depth("shared")).ready === 1);
    expect(work).toBeDefined();
  });

  it("goes on after a claim that the ledger refuses", async () => {
    const { queue, ledger, underWay, depth } = setup();
    ledger.answer = () => {
      throw new HAError("INTERNAL", "no such function");
    };
    await queue.port.enqueue([ready(1)]);
    await until(() => queue.calls.includes("done"));
    expect((await depth()).delivered).toBe(0);
    ledger.answer = (session) => ({ kind: "granted", grant: grantOf(session, 1) });
    await queue.port.enqueue([ready(1)]);
    await until(() => underWay.size === 1);
  });
});
