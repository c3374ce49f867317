import { describe, expect, it, onTestFinished } from "vitest";
import { sessionKey } from "../../core/ids.ts";
import type { RunQueue } from "../run-queue.ts";
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
import { runQueueLanesContract } from "./run-queue-lanes.contract.ts";

/** Long enough for any delivery; a test that waits this long has failed. */
const WAIT_MS = 20_000;

/** @param open opens an empty queue on a store of its own */
export function runQueueContract(
  adapter: string,
  open: (setting: RunQueueSetting) => Promise<RunQueueFixture>,
): void {
  const setup = async (setting: Partial<RunQueueSetting> = {}) => {
    const fixture = await open({ laneWidths: WIDTHS, ...setting });
    onTestFinished(() => fixture.close());
    return fixture;
  };
  describe(`RunQueue contract, delivery: ${adapter}`, () => {
    it("delivers a session as it was enqueued, to any process", async () => {
      const { queue, other } = await setup();
      const session = ready("chat", globex, "cron");
      expect(await queue.enqueue([session])).toEqual([{ added: true, backlog: 0 }]);
      expect(await takeNow(other)).toEqual([{ ...session, receipt: expect.any(String) as string }]);
    });

    it("delivers in the order of enqueueing, at most as many as asked for", async () => {
      const { queue } = await setup({ laneWidths: WIDE });
      await queue.enqueue(many(5));
      expect(names(await takeNow(queue, 2))).toEqual(["s0", "s1"]);
      expect(names(await takeNow(queue, 2))).toEqual(["s2", "s3"]);
      expect(names(await takeNow(queue, 2))).toEqual(["s4"]);
      expect(await takeNow(queue)).toEqual([]);
    });

    it("keeps session keys of any printable text apart, and tenants too", async () => {
      const { queue } = await setup({ laneWidths: WIDE });
      const keys = [
        "agent:main:x",
        "agent:main:x ",
        "a:b:c d;e",
        "{shared}:ready",
        'quo"te\\',
        "日本 🦞",
        "-",
        "*",
      ];
      const sessions = [acme, globex].flatMap((tenant) =>
        keys.map((key) => ({ ...ready("", tenant), sessionKey: sessionKey(key) })),
      );
      await queue.enqueue(sessions);
      const taken = await takeNow(queue);
      expect(taken).toMatchObject(sessions);
      await queue.done(a, taken);
      expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 0, backlog: 0 });
    });

    it("answers a large batch over tenants, lanes and pools in its order", async () => {
      const { queue } = await setup();
      const batch = Array.from({ length: 1_300 }, (_, i) =>
        ready(`s${i}`, i % 2 ? acme : globex, i % 3 ? "main" : "cron", i % 5 ? "shared" : "vip"),
      );
      const answers = await queue.enqueue([...batch, batch[0]!]);
      expect(answers.map(({ added }) => added)).toEqual([...batch.map(() => true), false]);
      const counts = await Promise.all([queue.depth("shared"), queue.depth("vip")]);
      expect(counts.map(({ ready: admitted }) => admitted)).toEqual([8, 8]);
      expect(counts.map(({ ready: admitted, backlog }) => admitted + backlog)).toEqual([1_040, 260]);
    });

    it("accepts empty batches, no pools and no free slot", async () => {
      const { queue } = await setup();
      expect(await queue.enqueue([])).toEqual([]);
      await queue.done(a, []);
      await queue.enqueue([ready("chat")]);
      expect(await queue.take(a, [], 1, 0)).toEqual([]);
      expect(await takeNow(queue, 0)).toEqual([]);
    });

    it("serves a worker only the pools it asks for, and never more than it asks for", async () => {
      const { queue } = await setup({ laneWidths: WIDE });
      const pools = ["shared", "vip", "eu"];
      await queue.enqueue(pools.flatMap((pool) => many(4).map((session) => ({ ...session, pool }))));
      expect(new Set((await takeNow(queue, 100, a, ["vip"])).map(({ pool }) => pool))).toEqual(
        new Set(["vip"]),
      );
      for (let left = 8; left > 0;) {
        const taken = await takeNow(queue, 2, b, pools);
        expect(taken.length).toBeLessThanOrEqual(2);
        left -= taken.length;
      }
      expect(await takeNow(queue, 100, b, pools)).toEqual([]);
    });
  });

  describe(`RunQueue contract, waiting: ${adapter}`, () => {
    it("wakes a waiting worker when a session comes", async () => {
      const { queue, other } = await setup();
      const taking = queue.take(a, ["vip", "shared"], 10, WAIT_MS);
      await other.enqueue([ready("chat")]);
      expect(names(await taking)).toEqual(["chat"]);
    });

    it("wakes a waiting worker when done admits the next session", async () => {
      const { queue, other } = await setup();
      await queue.enqueue([ready("first", acme, "cron"), ready("second", acme, "cron")]);
      const first = await takeNow(queue);
      const taking = other.take(b, ["shared"], 10, WAIT_MS);
      await queue.done(a, first);
      expect(names(await taking)).toEqual(["second"]);
    });

    it("answers nothing to a signal that is aborted already", async () => {
      const { queue } = await setup();
      expect(await queue.take(a, ["shared"], 1, WAIT_MS, AbortSignal.abort())).toEqual([]);
    });

    it("ends a wait on abort and loses nothing that arrives at the same moment", async () => {
      const { queue, other } = await setup();
      for (let round = 0; round < 20; round++) {
        const drain = new AbortController();
        const taking = queue.take(a, ["shared"], 10, WAIT_MS, drain.signal);
        if (round % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
        const enqueued = other.enqueue([ready(`chat${round}`)]);
        if (round % 2 === 0) await enqueued;
        drain.abort();
        const [taken] = await Promise.all([taking, enqueued]);
        const rest = await takeNow(other, 10, b);
        expect(names([...taken, ...rest])).toEqual([`chat${round}`]);
        await queue.done(a, taken);
        await other.done(b, rest);
      }
    });
  });

  describe(`RunQueue contract, once: ${adapter}`, () => {
    it("holds a session at most once until it is taken", async () => {
      const { queue, other } = await setup();
      await queue.enqueue([ready("chat"), ready("chat")]);
      expect(await other.enqueue([ready("chat")])).toEqual([{ added: false, backlog: 0 }]);
      const taken = await takeNow(queue);
      expect(taken).toHaveLength(1);
      await queue.done(a, taken);
      expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 0, backlog: 0 });
    });

    it("holds a session of the backlog at most once", async () => {
      const { queue } = await setup();
      await queue.enqueue(many(5));
      expect(await queue.enqueue(many(5))).toEqual(many(5).map(() => ({ added: false, backlog: 2 })));
      expect(await queue.depth("shared")).toEqual({ ready: 3, delivered: 0, backlog: 2 });
    });

    it("does not give a taken session to another worker, and gives it once more when it was enqueued meanwhile", async () => {
      const { queue, other } = await setup();
      await queue.enqueue([ready("chat")]);
      const taken = await takeNow(queue);
      expect(await other.enqueue([ready("chat"), ready("chat")])).toMatchObject([
        { added: false },
        { added: false },
      ]);
      expect(await takeNow(other, 10, b)).toEqual([]);
      await queue.done(a, taken);
      const again = await takeNow(other, 10, b);
      expect(names(again)).toEqual(["chat"]);
      await other.done(b, again);
      expect(await takeNow(queue)).toEqual([]);
    });

    it("puts a session that was enqueued meanwhile behind the others of its lane", async () => {
      const { queue } = await setup();
      await queue.enqueue([ready("first", acme, "cron"), ready("second", acme, "cron")]);
      const first = await takeNow(queue);
      await queue.enqueue([ready("first", acme, "cron")]);
      await queue.done(a, first);
      const second = await takeNow(queue);
      expect(names(second)).toEqual(["second"]);
      await queue.done(a, second);
      expect(names(await takeNow(queue))).toEqual(["first"]);
    });

    it("never lets two workers hold a session at once, and forgets no enqueue", async () => {
      const { queue, other } = await setup({ laneWidths: { ...WIDE, main: 5 } });
      const wanted = new Map(many(40).map((session) => [session.sessionKey, 0]));
      const looked = new Map<string, number>();
      const holding = new Set<string>();
      let producing = true;
      const work = async (side: RunQueue, worker: typeof a): Promise<void> => {
        for (;;) {
          const taken = await side.take(worker, ["shared"], 4, 0);
          for (const { sessionKey: key } of taken) {
            expect(holding.has(key)).toBe(false);
            holding.add(key);
            looked.set(key, wanted.get(key)!);
          }
          await new Promise((resolve) => setImmediate(resolve));
          for (const { sessionKey: key } of taken) holding.delete(key);
          await side.done(worker, taken);
          if (!producing && taken.length === 0) return;
        }
      };
      const produce = async (): Promise<void> => {
        for (let round = 0; round < 30; round++) {
          const batch = many(40).filter((_, i) => (i + round) % 3 === 0);
          for (const { sessionKey: key } of batch) wanted.set(key, wanted.get(key)! + 1);
          await (round % 2 ? queue : other).enqueue(batch);
        }
        producing = false;
      };
      await Promise.all([produce(), work(queue, a), work(other, b)]);
      // One side may have stopped while the other's last `done` admitted more.
      for (let rest = await takeNow(queue); rest.length > 0; rest = await takeNow(queue)) {
        for (const { sessionKey: key } of rest) looked.set(key, wanted.get(key)!);
        await queue.done(a, rest);
      }
      expect(looked).toEqual(wanted);
      expect(await queue.depth("shared")).toEqual({ ready: 0, delivered: 0, backlog: 0 });
    });
  });

  runQueueLanesContract(adapter, setup);
}
