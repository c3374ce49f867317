import { describe, expect, it } from "vitest";
import {
  a,
  acme,
  b,
  globex,
  many,
  names,
  ready,
  type RunQueueFixture,
  type RunQueueSetting,
  takeNow,
  WIDE,
  WIDTHS,
} from "./run-queue-fixture.ts";

/** The part of the RunQueue contract that is about lane widths, fairness and dead workers. */
export function runQueueLanesContract(
  adapter: string,
  setup: (setting?: Partial<RunQueueSetting>) => Promise<RunQueueFixture>,
): void {
  describe(`RunQueue contract, lanes: ${adapter}`, () => {
    it("admits as many sessions of a lane as it is wide, and the next when one is done", async () => {
      const { queue } = await setup();
      const answers = await queue.enqueue(many(6));
      expect(answers.at(-1)).toEqual({ added: true, backlog: 3 });
      const taken = await takeNow(queue);
      expect(names(taken)).toEqual(["s0", "s1", "s2"]);
      expect(await takeNow(queue)).toEqual([]);
      await queue.done(a, [taken[1]!]);
      expect(names(await takeNow(queue))).toEqual(["s3"]);
      expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 3, backlog: 2 });
    });

    it("counts lanes and tenants apart, and the backlog of a tenant over its lanes", async () => {
      const { queue } = await setup();
      await queue.enqueue(many(4));
      const cron = await queue.enqueue([ready("c0", acme, "cron"), ready("c1", acme, "cron")]);
      expect(cron).toEqual(cron.map(() => ({ added: true, backlog: 2 })));
      expect(await queue.enqueue([ready("s0", globex)])).toEqual([{ added: true, backlog: 0 }]);
      expect(names(await takeNow(queue))).toEqual(["s0", "s1", "s2", "c0", "s0"]);
    });

    it("admits of every lane as many as it is wide, whatever the others do", async () => {
      const { queue } = await setup();
      const lanes = ["main", "subagent", "cron"] as const;
      await queue.enqueue(lanes.flatMap((lane) => [0, 1, 2, 3].map((n) => ready(`${lane}${n}`, acme, lane))));
      const taken = await takeNow(queue);
      expect(taken.map(({ lane }) => lane).toSorted()).toEqual([
        "cron",
        "main",
        "main",
        "main",
        "subagent",
        "subagent",
      ]);
      await queue.done(
        a,
        taken.filter(({ lane }) => lane !== "main"),
      );
      expect(names(await takeNow(queue)).toSorted()).toEqual(["cron1", "subagent2", "subagent3"]);
    });

    it("uses a tenant's own widths where it has some", async () => {
      const { queue } = await setup({
        laneWidthsOf: (tenant) => (tenant === globex ? { ...WIDTHS, main: 5 } : undefined),
      });
      await queue.enqueue([...many(9, globex), ...many(9, acme)]);
      expect(await queue.depth("shared")).toEqual({ ready: 8, delivered: 0, backlog: 10 });
    });

    it("works off a backlog in the order in which it came", async () => {
      const { queue } = await setup();
      await queue.enqueue(many(25));
      const order: string[] = [];
      for (let taken = await takeNow(queue, 1); taken.length > 0; taken = await takeNow(queue, 1)) {
        order.push(...names(taken));
        await queue.done(a, taken);
      }
      expect(order).toEqual(names(many(25)));
    });

    it("does not let 10,000 ready sessions of one tenant delay another tenant's single one", async () => {
      const { queue } = await setup();
      await queue.enqueue(many(10_000));
      await queue.enqueue([ready("single", globex)]);
      // Whoever takes one at a time meets it after the lane width of the busy tenant, whatever its backlog.
      const before: string[] = [];
      for (
        let taken = await takeNow(queue, 1);
        taken[0]?.tenant !== globex;
        taken = await takeNow(queue, 1)
      ) {
        before.push(...names(taken));
        await queue.done(a, taken);
      }
      expect(before).toEqual(["s0", "s1", "s2"]);
    });

    it("keeps its counts when done is repeated, late, or of a receipt it does not know", async () => {
      const { queue, other } = await setup();
      await queue.enqueue(many(8));
      const taken = await takeNow(queue);
      await queue.done(a, taken);
      await queue.done(a, taken);
      await other.done(b, [{ ...taken[0]!, receipt: "1-1" }]);
      await other.done(b, [{ ...ready("never"), receipt: "2-2" }]);
      expect(await queue.depth("shared")).toEqual({ ready: 3, delivered: 0, backlog: 2 });
      expect(names(await takeNow(queue))).toEqual(["s3", "s4", "s5"]);
    });
  });

  describe(`RunQueue contract, dead workers: ${adapter}`, () => {
    it("puts what a dead worker had taken back, once, and forgets the worker", async () => {
      const { queue, other } = await setup();
      await queue.enqueue(many(5));
      const lost = await takeNow(queue, 2);
      expect(await other.workers("shared")).toEqual([a]);
      expect(await other.reclaim(a, ["vip", "shared"])).toBe(2);
      expect(await other.reclaim(a, ["vip", "shared"])).toBe(0);
      expect(await other.workers("shared")).toEqual([]);
      const taken = await takeNow(other, 10, b);
      expect(names(taken).sort()).toEqual(["s0", "s1", "s2"]);
      await queue.done(a, lost); // the dead one wakes up
      expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 3, backlog: 2 });
    });

    it("leaves other workers' sessions alone and keeps what was enqueued meanwhile", async () => {
      const { queue } = await setup({ laneWidths: WIDE });
      await queue.enqueue(many(4));
      const dead = await takeNow(queue, 2, a);
      const alive = await takeNow(queue, 2, b);
      await queue.enqueue(dead);
      expect(await queue.reclaim(a, ["shared"])).toBe(2);
      const again = await takeNow(queue, 10, b);
      expect(names(again)).toEqual(names(dead));
      await queue.done(b, [...again, ...alive]);
      expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 0, backlog: 0 });
    });

    it("answers 0 for a worker it has never seen", async () => {
      const { queue } = await setup();
      expect(await queue.reclaim(a, ["shared", "vip"])).toBe(0);
      expect(await queue.workers("shared")).toEqual([]);
    });

    it("names its content, the same for every process", async () => {
      const { queue, other } = await setup();
      const epoch = await queue.epoch("shared");
      expect(epoch).toEqual(expect.any(String));
      await queue.enqueue(many(3));
      expect(await other.epoch("shared")).toBe(epoch);
    });
  });
}
