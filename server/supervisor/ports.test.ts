import { describe, expect, it } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import { portAllocator } from "./ports.ts";

const allFree = async (): Promise<boolean> => true;

describe("portAllocator", () => {
  it("keeps what was promised", async () => {
    const ports = portAllocator({ "gateway-1": 21_000 }, seededRandom(1), allFree);
    expect(await ports.forName("gateway-1")).toBe(21_000);
  });

  it("chooses below the ports of outgoing connections, each once", async () => {
    const ports = portAllocator({}, seededRandom(2), allFree);
    for (let n = 0; n < 500; n++) await ports.forName(`gateway-${n}`);
    const given = Object.values(ports.ports());
    expect(new Set(given).size).toBe(500);
    expect(Math.min(...given)).toBeGreaterThanOrEqual(20_000);
    expect(Math.max(...given)).toBeLessThan(32_768);
  });

  it("passes over ports that somebody has", async () => {
    const asked: number[] = [];
    const isFree = async (port: number): Promise<boolean> => asked.push(port) === 3;
    const ports = portAllocator({}, seededRandom(3), isFree);
    expect(await ports.forName("redis")).toBe(asked[2]);
  });

  it("says so when there is none", async () => {
    const ports = portAllocator({}, seededRandom(4), async () => false);
    await expect(ports.forName("redis")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
