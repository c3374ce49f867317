import { beforeEach, describe, expect, it } from "vitest";
import { tenantId } from "../../core/ids.ts";
import { type RunEvent, runSeqOf } from "../../core/run-event.ts";
import type { EventBus } from "../event-bus.ts";
import { follow, type Writer, writer, type WriterOptions } from "./event-follower.ts";
import type { EventBusFixture } from "./event-bus.contract.ts";

const acme = tenantId("acme");
const seqs = (events: readonly RunEvent[] | null): number[] | null =>
  events?.map(({ runSeq }) => runSeq) ?? null;

/** The part of the EventBus contract that is about what is kept: replay, duplicates, fencing, the cap. */
export function eventHistoryContract(adapter: string, setup: () => Promise<EventBusFixture>): void {
  const replay = (bus: EventBus, of: Writer, after: number): Promise<RunEvent[] | null> => {
    const { tenant, sessionKey, runId } = of.at(1);
    return bus.replay(tenant, sessionKey, runId, after);
  };
  /** Publishes each event by itself. */
  const publishEach = async (bus: EventBus, events: readonly RunEvent[]): Promise<void> => {
    for (const event of events) expect(await bus.publish([event])).toBe("published");
  };

  describe(`EventBus contract, history: ${adapter}`, () => {
    let fixture: EventBusFixture;
    beforeEach(async ({ skip }) => {
      fixture = await setup();
      if (fixture.bus.capabilities.history) return;
      const { tenant, sessionKey, runId } = writer().at(1);
      expect(await fixture.bus.replay(tenant, sessionKey, runId, 0)).toBeNull();
      skip("keeps no history");
    });

    it("replays after any event, on any process", async () => {
      const { bus, other } = fixture;
      const run = writer();
      const events = run.range(1, 20);
      await bus.publish(events.slice(0, 7));
      await publishEach(bus, events.slice(7));
      for (const after of [0, 1, 6, 7, 8, 19, 20]) {
        expect(await replay(other, run, after)).toEqual(events.slice(after));
      }
    });

    it("answers null where it knows nothing of the run, or less than the caller", async () => {
      const { bus } = fixture;
      const run = writer();
      expect(await replay(bus, run, 0)).toBeNull();
      await bus.publish(run.range(1, 3));
      expect(await replay(bus, writer({ run: "run-2" }), 0)).toBeNull();
      expect(await replay(bus, run, 4)).toBeNull();
      expect(await replay(bus, run, 3)).toEqual([]);
    });

    it("replays one run among many of its session", async () => {
      const { bus, other } = fixture;
      const runs = Array.from({ length: 20 }, (_, i) => writer({ run: `run-${i}`, token: i + 1 }));
      for (const run of runs) {
        await bus.publish(run.range(1, 3));
        await bus.publish(run.range(4, 6));
      }
      expect(seqs(await replay(other, runs[0]!, 0))).toEqual([1, 2, 3, 4, 5, 6]);
      expect(seqs(await replay(other, runs[19]!, 2))).toEqual([3, 4, 5, 6]);
    });

    it("replays over attempts, from before and from within the last one", async () => {
      const { bus } = fixture;
      const [first, second] = [writer(), writer({ attempt: 2, token: 2 })];
      await bus.publish(first.range(1, 5));
      await bus.publish(second.range(1, 3));
      expect(seqs(await replay(bus, first, 3))).toEqual([4, 5, ...[1, 2, 3].map((n) => runSeqOf(2, n))]);
      // This one had more of the first attempt than was kept; the second begins with the whole text.
      expect(seqs(await replay(bus, first, 9))).toEqual([1, 2, 3].map((n) => runSeqOf(2, n)));
      expect(seqs(await replay(bus, first, runSeqOf(2, 2)))).toEqual([runSeqOf(2, 3)]);
    });

    it("does not hide a hole: it begins after it with a whole text, or answers null", async () => {
      const { bus } = fixture;
      const run = writer();
      await bus.publish(run.range(1, 3));
      await bus.publish(run.range(6, 8)); // 4 and 5 were lost
      for (const after of [0, 3, 4]) expect(await replay(bus, run, after)).toBeNull();
      expect(seqs(await replay(bus, run, 5))).toEqual([6, 7, 8]);
      await bus.publish([run.at(9, { type: "replace", text: "whole" }), ...run.range(10, 11)]);
      for (const after of [0, 3, 4]) expect(seqs(await replay(bus, run, after))).toEqual([9, 10, 11]);
      expect(seqs(await replay(bus, run, 6))).toEqual([7, 8, 9, 10, 11]);
    });

    it("changes nothing when events are published again, and takes what is new among them", async () => {
      const { bus, other } = fixture;
      const run = writer();
      const follower = await follow(other, acme);
      await bus.publish(run.range(1, 4));
      expect(await bus.publish(run.range(1, 4))).toBe("published");
      expect(await other.publish(run.range(3, 6))).toBe("published");
      expect(await bus.publish(run.range(2, 2))).toBe("published");
      expect(seqs(await replay(bus, run, 0))).toEqual([1, 2, 3, 4, 5, 6]);
      await follower.heard(() => follower.events.length >= 6);
      expect(seqs(follower.events)).toEqual([1, 2, 3, 4, 5, 6]);
    });

    it("recognises events of an earlier run under the same token", async () => {
      const { bus } = fixture;
      const [first, second] = [writer(), writer({ run: "run-2" })];
      await bus.publish(first.range(1, 4));
      await bus.publish(second.range(1, 2));
      expect(await bus.publish(first.range(3, 5))).toBe("published");
      expect(await bus.publish(second.range(1, 3))).toBe("published");
      expect(seqs(await replay(bus, first, 0))).toEqual([1, 2, 3, 4, 5]);
      expect(seqs(await replay(bus, second, 0))).toEqual([1, 2, 3]);
    });

    it("refuses a smaller token than the newest of the session, and nobody hears it", async () => {
      const { bus, other } = fixture;
      const zombie = writer({ token: 9 });
      const successor = writer({ token: 10, attempt: 2 });
      const follower = await follow(other, acme);
      await bus.publish(zombie.range(1, 2));
      await other.publish(successor.range(1, 2));
      expect(await bus.publish(zombie.range(3, 4))).toBe("fenced");
      expect(await bus.publish(writer({ token: 9, run: "run-2" }).range(1, 1))).toBe("fenced");
      await other.publish(successor.range(3, 3));
      const expected = [1, 2, ...[1, 2, 3].map((n) => runSeqOf(2, n))];
      await follower.heard(() => follower.events.length >= expected.length);
      expect(seqs(follower.events)).toEqual(expected);
      expect(seqs(await replay(other, zombie, 0))).toEqual(expected);
    });

    it("fences each session by itself, and answers so in a batch of batches", async () => {
      const { bus } = fixture;
      const sessions = ["a", "b", "c"].map(
        (name) => `agent:main:${name}` as WriterOptions["session"] & string,
      );
      await bus.publish(writer({ session: sessions[1]!, token: 5 }).range(1, 1));
      const stale = sessions.map((session) => writer({ session, token: 4 }).range(1, 2));
      expect(await bus.publishMany(stale)).toEqual(["published", "fenced", "published"]);
    });

    it("takes the end of one run and the start of the next in one batch, and that batch again", async () => {
      const { bus, other } = fixture;
      const [first, second] = [writer({ token: 1 }), writer({ token: 2, run: "run-2" })];
      const batch = [...first.range(1, 2), first.at(3, { type: "final", text: "2 ", stopReason: "stop" })];
      const both = [...batch, ...second.range(1, 2)];
      const follower = await follow(other, acme);
      expect([await bus.publish(both), await bus.publish(both)]).toEqual(["published", "published"]);
      expect(await replay(bus, first, 0)).toEqual(batch);
      expect(await replay(bus, second, 0)).toEqual(second.range(1, 2));
      await bus.notify(acme, { type: "presence" });
      await follower.heard(() => follower.notices.length === 1);
      expect(follower.events).toEqual(both);
    });

    it("keeps the newest of a session and says when it no longer reaches back", async () => {
      const { bus, historyEntries } = fixture;
      const run = writer();
      const last = 2 * historyEntries;
      await publishEach(bus, run.range(1, last));
      expect(await replay(bus, run, 0)).toBeNull();
      expect(seqs(await replay(bus, run, last - 10))).toHaveLength(10);
      await bus.publish([run.at(last + 1, { type: "replace", text: "whole" }), run.at(last + 2)]);
      expect(seqs(await replay(bus, run, 0))).toEqual([last + 1, last + 2]);
    });
  });
}
