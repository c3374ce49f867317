import { describe, expect, it } from "vitest";
import { poolNumbers, scaleRequest } from "./scale-request.ts";

describe("what scale was asked for", () => {
  it("is sizes, limits of single pools, and what counts for all of them", () => {
    const flags = { auto: true, min: { worker: 1 }, max: { gateway: 3 }, shrinkAfter: 30_000 };
    const common = { auto: true, shrinkAfterMs: 30_000 };
    expect(scaleRequest(["worker=4"], flags)).toEqual({
      gateway: { policy: { ...common, max: 3 } },
      worker: { size: 4, policy: { ...common, min: 1 } },
    });
    expect(scaleRequest(["worker=4"], {})).toEqual({ worker: { size: 4, policy: {} } });
  });

  it("is nothing where nothing was said", () => {
    expect(scaleRequest([], {})).toBeNull();
  });

  it("takes several pools in one word or in several", () => {
    expect(poolNumbers(["worker=4,gateway=2"], 0)).toEqual({ worker: 4, gateway: 2 });
    expect(poolNumbers(["worker=4", "gateway=0"], 0)).toEqual({ worker: 4, gateway: 0 });
  });

  it.each(["worker", "worker=", "worker=-1", "worker=1.5", "worker=257", "control=2", "worker=2,", ""])(
    "refuses %j",
    (word) => {
      expect(() => poolNumbers([word], 0)).toThrow(expect.objectContaining({ code: "REQUEST_INVALID" }));
    },
  );

  it("does not take a limit of nothing", () => {
    expect(() => poolNumbers(["worker=0"], 1)).toThrow("worker=0");
  });
});
