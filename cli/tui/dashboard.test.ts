import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../server/testing/fake-clock.ts";
import { EXAMPLE_NOW, exampleScaling, exampleView } from "../testing/deployment-view.ts";
import { DashboardView } from "./dashboard.ts";
import { h } from "./h.ts";
import { pollingSource } from "./use-snapshot.ts";
import type { Snapshot } from "./use-snapshot.ts";

const screen = (snapshot: Snapshot | null): string =>
  renderToString(h(DashboardView, { footer: "Ctrl-C ends this", snapshot }), { columns: 120 });

/** Columns as a reader sees them. */
const lines = (text: string): string[] =>
  text.split("\n").map((line) => line.trim().replace(/ {2,}/g, " | "));

describe("the live screen", () => {
  it("shows instances, stores and the queue", () => {
    expect(lines(screen({ view: exampleView(), at: EXAMPLE_NOW, problem: null }))).toEqual([
      "default (v2) | ready | ws://127.0.0.1:18789 | supervisor 1",
      "",
      "Instances",
      "gateway-1 | ready | 2 | 10.0 s | 0 restarts | ws://127.0.0.1:20001",
      "worker-1 | crashed | - | - | 3 restarts",
      "",
      "Stores",
      "postgres | healthy | 3 | embedded",
      "redis | down | - | external",
      "",
      "queue: 2 ready, 1 running, oldest for 1.5 s",
      "",
      "Ctrl-C ends this",
    ]);
  });

  it("shows the sizes of the pools and the last decision", () => {
    const view = exampleView({ scaling: exampleScaling });
    const shown = lines(screen({ view, at: EXAMPLE_NOW, problem: null }));
    expect(shown).toContain("worker | 2 | 4 | auto, 2 to 8");
    expect(shown.some((line) => line.startsWith("3.0 s ago: worker 2 → 4"))).toBe(true);
  });

  it("says that it is looking before it has seen anything", () => {
    expect(screen(null)).toBe("looking…");
  });

  it("says why the picture is old", () => {
    const text = screen({ view: exampleView(), at: EXAMPLE_NOW, problem: "the supervisor does not answer" });
    expect(text).toContain("the supervisor does not answer");
  });
});

describe("what feeds the live screen", () => {
  it("looks once a second, and keeps the last picture while a look fails", async () => {
    const clock = fakeClock();
    const looks = [
      async () => exampleView(),
      async () => Promise.reject(new Error("away")),
      async () => exampleView({ phase: "degraded" }),
    ];
    let look = 0;
    const seen: string[] = [];
    const stop = pollingSource(
      () => looks[look++]!(),
      clock,
      1_000,
    )(({ problem, view }) => {
      seen.push(`${view.phase} ${problem ?? "-"}`);
    });
    await clock.advance(2_000);
    stop();
    await clock.advance(5_000);
    expect(seen).toEqual(["ready -", "ready away", "degraded -"]);
    expect(look).toBe(3);
  });
});
