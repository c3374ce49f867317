import { describe, expect, it } from "vitest";
import { batcher } from "./batcher.ts";
import { HAError } from "./errors.ts";

/** A store whose calls end when the test says so. */
function gatedStore(decide: (request: number) => string = (request) => `answer ${request}`) {
  const calls: { readonly batch: readonly number[]; answer(): void; fail(error: Error): void }[] = [];
  let onCall: (() => void) | null = null;
  return {
    calls,
    call: (batch: readonly number[]): Promise<string[]> =>
      new Promise((resolve, reject) => {
        calls.push({
          batch,
          answer: () => resolve(batch.map(decide)),
          fail: reject,
        });
        onCall?.();
      }),
    /** Resolves once the store has been called `count` times. */
    called: async (count: number): Promise<void> => {
      while (calls.length < count) {
        await new Promise<void>((resolve) => {
          onCall = resolve;
        });
      }
    },
  };
}

const options = { name: "test", maxBatch: 64, maxWaiting: 1_000 };

describe("batcher", () => {
  it("sends requests of one turn together, and those that arrive during a call in the next one", async () => {
    const store = gatedStore();
    const { submit } = batcher({ ...options, call: store.call });
    const first = [submit(1), submit(2)];
    await store.called(1);
    const second = [submit(3), submit(4), submit(5)];
    store.calls[0]?.answer();
    expect(await Promise.all(first)).toEqual(["answer 1", "answer 2"]);
    await store.called(2);
    store.calls[1]?.answer();
    expect(await Promise.all(second)).toEqual(["answer 3", "answer 4", "answer 5"]);
    expect(store.calls.map((call) => call.batch)).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });

  it("keeps one call under way, and more where it is allowed to", async () => {
    const store = gatedStore();
    const wide = batcher({ ...options, maxBatch: 2, maxCalls: 2, call: store.call });
    const all = Promise.all([1, 2, 3, 4, 5].map((request) => wide.submit(request)));
    await store.called(2);
    expect(store.calls.map((call) => call.batch)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(wide.pending()).toBe(5);
    store.calls[1]?.answer();
    await store.called(3);
    store.calls[0]?.answer();
    store.calls[2]?.answer();
    expect(await all).toHaveLength(5);
    expect(wide.pending()).toBe(0);
  });

  it("never sends more than maxBatch at once", async () => {
    const sizes: number[] = [];
    const { submit } = batcher<number, number>({
      ...options,
      maxBatch: 3,
      call: (batch) => {
        sizes.push(batch.length);
        return Promise.resolve([...batch]);
      },
    });
    await Promise.all(Array.from({ length: 8 }, (_, i) => submit(i)));
    expect(sizes).toEqual([3, 3, 2]);
  });

  it("refuses what it cannot hold, and accepts again when there is room", async () => {
    const store = gatedStore();
    const { submit } = batcher({ ...options, maxBatch: 1, maxWaiting: 1, call: store.call });
    const first = submit(1);
    await store.called(1);
    const second = submit(2);
    await expect(submit(3)).rejects.toMatchObject({ code: "OVERLOADED" });
    store.calls[0]?.answer();
    await first;
    await store.called(2);
    const third = submit(3);
    store.calls[1]?.answer();
    await second;
    await store.called(3);
    store.calls[2]?.answer();
    expect(await third).toBe("answer 3");
  });

  it("tells every waiter when the store is away, without trying them one by one", async () => {
    const store = gatedStore();
    const { submit } = batcher({ ...options, call: store.call });
    const all = [submit(1), submit(2), submit(3)];
    await store.called(1);
    store.calls[0]?.fail(new HAError("STORE_UNAVAILABLE", "postgres is away"));
    for (const one of all) await expect(one).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(store.calls).toHaveLength(1);
  });

  it("finds the one bad request of a batch, and answers all the others", async () => {
    let calls = 0;
    const { submit } = batcher<number, string>({
      ...options,
      call: (batch) => {
        calls++;
        if (batch.includes(13)) throw new HAError("REQUEST_INVALID", "13 cannot be stored");
        return Promise.resolve(batch.map((request) => `answer ${request}`));
      },
    });
    const requests = Array.from({ length: 32 }, (_, i) => i);
    const settled = await Promise.allSettled(requests.map((request) => submit(request)));
    for (const request of requests) {
      expect(settled[request]).toMatchObject(
        request === 13
          ? { status: "rejected", reason: { code: "REQUEST_INVALID" } }
          : { status: "fulfilled", value: `answer ${request}` },
      );
    }
    expect(calls).toBeLessThanOrEqual(11);
  });

  it("takes a wrong number of answers for a failure", async () => {
    const { submit } = batcher<number, string>({ ...options, call: () => Promise.resolve([]) });
    await expect(submit(1)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("keeps an error of a foreign kind as the cause", async () => {
    const cause = new TypeError("boom");
    const { submit } = batcher<number, string>({ ...options, call: () => Promise.reject(cause) });
    await expect(submit(1)).rejects.toMatchObject({ code: "INTERNAL", cause });
  });
});
