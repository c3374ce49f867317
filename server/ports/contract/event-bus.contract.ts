import { describe, expect, it, onTestFinished } from "vitest";
import { sessionKey, tenantId, workerId } from "../../core/ids.ts";
import type { Notice, RunEvent, WorkerSignal } from "../../core/run-event.ts";
import type { EventBus } from "../event-bus.ts";
import { eventHistoryContract } from "./event-history.contract.ts";
import { follow, writer } from "./event-follower.ts";

export interface EventBusFixture {
  readonly bus: EventBus;
  /** The same bus as another process sees it. */
  readonly other: EventBus;
  /** Publications of a session after which the oldest have certainly been dropped. */
  readonly historyEntries: number;
  close(): Promise<void>;
}

const acme = tenantId("acme");
const globex = tenantId("globex");
const presence: Notice = { type: "presence" };
const seqs = (events: readonly RunEvent[]): number[] => events.map(({ runSeq }) => runSeq);

/** @param open opens a bus that nobody else uses; adapters without history skip what is about it */
export function eventBusContract(adapter: string, open: () => Promise<EventBusFixture>): void {
  const setup = async (): Promise<EventBusFixture> => {
    const fixture = await open();
    onTestFinished(() => fixture.close());
    return fixture;
  };

  describe(`EventBus contract, live: ${adapter}`, () => {
    it("brings events to the followers of every process, in order and as they were written", async () => {
      const { bus, other } = await setup();
      const followers = [await follow(bus, acme), await follow(other, acme)];
      const events = writer().range(1, 30);
      for (let i = 0; i < events.length; i += 3) {
        expect(await bus.publish(events.slice(i, i + 3))).toBe("published");
      }
      for (const follower of followers) {
        await follower.heard(() => follower.events.length >= 30);
        expect(follower.events).toEqual(events);
      }
    });

    it("keeps the order of publications that do not wait for each other", async () => {
      const { bus, other } = await setup();
      const follower = await follow(other, acme);
      await Promise.all(
        writer()
          .range(1, 60)
          .map((event) => bus.publish([event])),
      );
      await follower.heard(() => follower.events.length >= 60);
      expect(seqs(follower.events)).toEqual(seqs(writer().range(1, 60)));
    });

    it("carries any text, any printable session key and large events", async () => {
      const { bus, other } = await setup();
      const keys = ["agent:main:x", "a b.c>*", "{brace}", "日本 🦞", 'quo"te\\', "x".repeat(500)];
      const text = `line\nline\u2028"${"ü🦞".repeat(40_000)}`;
      const follower = await follow(other, acme);
      for (const key of keys) {
        const events = [writer({ session: sessionKey(key) }).at(1, { type: "started", text })];
        expect(await bus.publish(events)).toBe("published");
        await follower.heard(() => follower.events.length > 0);
        expect(follower.events.splice(0)).toEqual(events);
      }
    });

    it("serves many followers, and each until it ends its own subscription", async () => {
      const { bus, other } = await setup();
      const followers = await Promise.all(Array.from({ length: 20 }, () => follow(other, acme)));
      const [gone, ...rest] = followers;
      await gone!.unsubscribe();
      await gone!.unsubscribe();
      await bus.publish(writer().range(1, 2));
      await Promise.all(rest.map((follower) => follower.heard(() => follower.events.length === 2)));
      expect(gone!.events).toEqual([]);
      await Promise.all(rest.map((follower) => follower.unsubscribe()));
      const next = await follow(other, acme);
      await bus.publish(writer().range(3, 4));
      await next.heard(() => next.events.length === 2);
      expect(rest.flatMap(({ events }) => events)).toHaveLength(2 * rest.length);
    });

    it("goes on when a follower throws", async () => {
      const { bus } = await setup();
      await bus.subscribe(acme, {
        onEvents: () => {
          throw new Error("a follower's fault");
        },
        onNotice: () => {},
        onGap: () => {},
      });
      const follower = await follow(bus, acme);
      expect(await bus.publish(writer().range(1, 1))).toBe("published");
      await follower.heard(() => follower.events.length === 1);
    });

    it("lets no tenant hear or read another one's", async () => {
      const { bus, other } = await setup();
      const followers = { acme: await follow(other, acme), globex: await follow(other, globex) };
      await bus.publish(writer().range(1, 3));
      await bus.notify(acme, presence);
      // On the same path afterwards: once these are here, nothing of the other tenant is still on its way.
      await bus.publish(writer({ tenant: "globex" }).range(1, 1));
      await followers.globex.heard(() => followers.globex.events.length > 0);
      expect(followers.globex.events.map(({ tenant }) => tenant)).toEqual([globex]);
      expect(followers.globex.notices).toEqual([]);
      const { sessionKey: key, runId: run } = writer().at(1); // of the same names in both tenants
      const replayed = await other.replay(globex, key, run, 0);
      expect(replayed && seqs(replayed)).toEqual(bus.capabilities.history ? [1] : null);
    });

    it("answers a batch per session, and nothing for an empty one", async () => {
      const { bus, other } = await setup();
      const follower = await follow(other, acme);
      const sessions = Array.from({ length: 50 }, (_, i) =>
        writer({ session: sessionKey(`agent:main:s${i}`), run: `run-${i}` }),
      );
      const batches = sessions.map((session, i) => (i === 7 ? [] : session.range(1, 4)));
      expect(await bus.publishMany(batches)).toEqual(sessions.map(() => "published"));
      expect(await bus.publish([])).toBe("published");
      expect(await bus.publishMany([])).toEqual([]);
      await follower.heard(() => follower.events.length === 49 * 4);
      for (const batch of batches) {
        const mine = follower.events.filter(({ runId: run }) => run === batch[0]?.runId);
        expect(mine).toEqual(batch);
      }
    });

    it("brings notices to the tenant's followers", async () => {
      const { bus, other } = await setup();
      const follower = await follow(other, acme);
      const notice: Notice = { type: "session", reason: "patch", sessionKey: sessionKey("agent:main:main") };
      await bus.notify(acme, notice);
      await bus.notify(acme, presence);
      await follower.heard(() => follower.notices.length === 2);
      expect(follower.notices).toEqual([notice, presence]);
    });

    it("brings signals to the one worker, while it listens", async () => {
      const { bus, other } = await setup();
      const worker = workerId("worker-1.0a1b2c3d");
      const heard: WorkerSignal[] = [];
      const strangers: WorkerSignal[] = [];
      let wake = (): void => {};
      const unsubscribe = await other.subscribeSignals(worker, (signal) => {
        heard.push(signal);
        wake();
      });
      await other.subscribeSignals(workerId("worker-2.0a1b2c3d"), (signal) => strangers.push(signal));
      const { tenant, sessionKey: key, runId: run } = writer().at(1);
      const signal: WorkerSignal = { type: "abort", tenant, sessionKey: key, runId: run };
      const arrived = new Promise<void>((resolve) => (wake = resolve));
      await bus.signal(worker, signal);
      await arrived;
      expect(heard).toEqual([signal]);
      await unsubscribe();
      await bus.signal(worker, signal);
      await bus.signal(workerId("worker-3.nobody"), signal);
      const follower = await follow(other, acme);
      await bus.notify(acme, presence);
      await follower.heard(() => follower.notices.length === 1);
      expect([heard.length, strangers.length]).toEqual([1, 0]);
    });

    it("is healthy while its store is there", async () => {
      const { bus } = await setup();
      await bus.publish(writer().range(1, 1));
      expect(bus.healthy()).toBe(true);
    });
  });

  eventHistoryContract(adapter, setup);
}
