import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../adapters/system/clock.ts";
import { workerId } from "../core/ids.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { newSwitches, SWITCHES } from "../testing/switchable-heartbeat-link.ts";
import { until } from "../testing/until.ts";
import type { LeaseKeeper } from "./keep-lease.ts";
import { threadKeeper } from "./keep-lease-thread.ts";

const LINK = new URL("../testing/switchable-heartbeat-link.ts", import.meta.url).href;

function setup(linkModule = LINK) {
  const switches = newSwitches();
  const logger = recordingLogger();
  const registered: string[] = [];
  const keep = async (): Promise<LeaseKeeper> => {
    const keeper = await threadKeeper({
      clock: systemClock,
      linkModule,
      linkSettings: { switches },
      intervalMs: 50,
    })({
      worker: workerId("worker-1.0000cafe"),
      logger,
      register: (lock) => {
        registered.push(lock);
        return Promise.resolve();
      },
      onAborts: () => {},
    });
    onTestFinished(() => keeper.stop());
    return keeper;
  };
  const beats = (): number => Atomics.load(switches, SWITCHES.beats);
  const set = (name: keyof typeof SWITCHES): void => void Atomics.store(switches, SWITCHES[name], 1);
  return { keep, registered, beats, set, switches, logger };
}

/** Keeps this thread's event loop from turning. */
function hog(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe("the heartbeat thread", () => {
  it("registers with the lock held, and beats", async () => {
    const { keep, registered, beats } = setup();
    const keeper = await keep();
    expect(registered).toEqual(["held"]);
    await until(() => beats() >= 3);
    expect(keeper.trustMs()).toBeGreaterThan(7_000);
  });

  it("goes on beating while the worker's event loop is busy, and the worker knows it at once", async () => {
    const { keep, beats } = setup();
    const keeper = await keep();
    await until(() => beats() >= 1);
    const before = beats();
    hog(1_000);
    // No message has been read since: what is known comes from shared memory.
    expect(beats()).toBeGreaterThan(before + 3);
    expect(keeper.trustMs()).toBeGreaterThan(7_500);
    expect(keeper.lost.aborted).toBe(false);
  });

  it("tells the worker that it was declared dead", async () => {
    const { keep, set } = setup();
    const keeper = await keep();
    set("dead");
    await until(() => keeper.lost.aborted);
    expect(keeper.trustMs()).toBe(0);
  });

  it("refuses to begin where the store is away, and ends", async () => {
    const { keep, set, switches } = setup();
    set("away");
    await expect(keep()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await until(() => Atomics.load(switches, SWITCHES.closed) === 1);
  });

  it("refuses to begin where its module cannot be loaded", async () => {
    const { keep } = setup(new URL("no-such-module.ts", import.meta.url).href);
    await expect(keep()).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("stops in time even where its store never answers", async () => {
    const { keep, set, switches } = setup();
    const keeper = await keep();
    set("hangs");
    await until(() => Atomics.load(switches, SWITCHES.hung) === 1);
    await keeper.stop();
    expect(keeper.lost.aborted).toBe(false);
  });

  it("ends the process when its event loop hangs", async () => {
    const script = fileURLToPath(new URL("../testing/stalling-worker.ts", import.meta.url));
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [, signal] = (await once(child, "close")) as [number | null, string | null];
    expect(signal).toBe("SIGKILL");
    expect(JSON.parse(stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({
      msg: "worker.stalled",
      worker: "worker-1.0000beef",
    });
  });
});
