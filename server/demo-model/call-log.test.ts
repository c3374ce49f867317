import { describe, expect, it } from "vitest";
import { callLog } from "./call-log.ts";

describe("callLog", () => {
  it("counts calls of one session that overlap, and none of different ones", () => {
    const log = callLog(() => 0);
    const a = log.begin("a", "hi", 1);
    const b = log.begin("b", "hi", 1);
    a.end(200, false);
    log.begin("a", "again", 1).end(200, false);
    expect(log.report()).toMatchObject({ overlaps: 0, inFlight: 1 });
    log.begin("b", "too early", 1);
    expect(log.report()).toMatchObject({ overlaps: 1, inFlight: 2, total: 4 });
    b.end(null, true);
    expect(log.report()).toMatchObject({ inFlight: 1, aborted: 1 });
  });

  it("orders starts and ends without a clock", () => {
    const log = callLog(() => 5);
    const first = log.begin("a", "1", 1);
    const second = log.begin("b", "2", 1);
    second.end(200, false);
    first.end(200, false);
    expect(log.report().calls).toMatchObject([
      { startOrder: 1, endOrder: 4 },
      { startOrder: 2, endOrder: 3 },
    ]);
  });

  it("keeps a bounded number of calls, the newest, and counts them all", () => {
    const log = callLog(() => 0);
    for (let i = 1; i <= 10_500; i++) log.begin("s", "x".repeat(1_000), 1).end(200, false);
    const { calls, total } = log.report();
    expect(total).toBe(10_500);
    expect(calls).toHaveLength(10_000);
    expect([calls[0]?.id, calls.at(-1)?.id]).toEqual([501, 10_500]);
    expect(calls[0]?.text).toHaveLength(200);
  });

  it("is not upset by calls that end after a reset, or twice", () => {
    const log = callLog(() => 0);
    const old = log.begin("a", "hi", 1);
    log.reset();
    const young = log.begin("a", "hi", 1);
    old.end(200, true);
    expect(log.report()).toMatchObject({ total: 1, inFlight: 1, aborted: 0 });
    young.end(200, false);
    young.end(null, true);
    expect(log.report()).toMatchObject({ inFlight: 0, aborted: 0, calls: [{ status: 200 }] });
  });
});
