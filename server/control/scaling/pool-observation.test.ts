import { describe, expect, it } from "vitest";
import { queueDemand } from "./pool-observation.ts";

const WIDTHS = { main: 4, subagent: 2, cron: 1 };
const lane = (
  tenant: string,
  ready: number,
  running: number,
  oldestReadyMs: number | null,
  name = "main",
) => ({
  tenant,
  lane: name,
  ready,
  running,
  oldestReadyMs,
});

describe("queueDemand", () => {
  it("counts what would run if there were room, over all tenants and lanes", () => {
    const lanes = [lane("a", 2, 1, 700), lane("b", 1, 0, 900), lane("b", 1, 0, 100, "cron")];
    expect(queueDemand(lanes, WIDTHS)).toEqual({ running: 1, waiting: 4, delayMs: 900 });
  });

  it("leaves out what waits for its own tenant's lane, and how long that has waited", () => {
    const lanes = [lane("noisy", 500, 4, 60_000), lane("quiet", 1, 0, 20)];
    expect(queueDemand(lanes, WIDTHS)).toEqual({ running: 4, waiting: 1, delayMs: 20 });
  });

  it("counts a noisy tenant up to its width", () => {
    expect(queueDemand([lane("noisy", 500, 1, 5_000)], WIDTHS)).toEqual({
      running: 1,
      waiting: 3,
      delayMs: 5_000,
    });
  });
});
