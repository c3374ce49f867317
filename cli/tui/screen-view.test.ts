import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../server/testing/fake-clock.ts";
import { EXAMPLE_NOW, exampleActivity, exampleScaling, exampleView } from "../testing/deployment-view.ts";
import { NO_DETAIL } from "./detail.ts";
import { h } from "./h.ts";
import { BROWSING } from "./screen-state.ts";
import { type ScreenProps, ScreenView } from "./screen-view.ts";
import { sectionsOf } from "./sections.ts";
import { pollingSource } from "./use-snapshot.ts";

const view = exampleView({ activity: exampleActivity, scaling: exampleScaling });

function screen(change: Partial<ScreenProps> = {}, filter = ""): string {
  const snapshot = { view, at: EXAMPLE_NOW, problem: null };
  const shown = change.snapshot === undefined ? snapshot : change.snapshot;
  const props: ScreenProps = {
    snapshot,
    sections: shown === null ? [] : sectionsOf(shown.view, shown.at, filter),
    state: { ...BROWSING, filter },
    detail: NO_DETAIL,
    message: null,
    footer: "q leave",
    columns: 80,
    rows: 23,
    color: false,
    ...change,
  };
  return renderToString(h(ScreenView, props), { columns: props.columns });
}

/** Columns as a reader sees them. */
const lines = (text: string): string[] =>
  text.split("\n").map((line) => line.trim().replace(/ {2,}/g, " | "));

describe("the live screen", () => {
  it("shows everything of a deployment on 80 by 24 characters", () => {
    expect(lines(screen())).toEqual([
      "default (v2) | ready | ws://127.0.0.1:18789 | supervisor 1 | 12:00:10 UTC",
      "postgres 0.4 ms | redis DOWN",
      "gateway 1/1 | worker 2/4 auto 2-8 | queue: 2 ready, 1 running, oldest for 1.5 s",
      "▾ 1 Instances (2)",
      "INSTANCE | STATE | UP RESTARTS | CPU LOOP | MEMORY WORK",
      "> gateway-1 | ready | 10.0 s | 0 | 12% | 3% | 150 MB 41 clients",
      "worker-1 | crashed | - | 3 | - | - | -",
      "▸ 2 Lanes (2)",
      "acme | main | shared | 2 | 1.5 s | 0",
      "other | cron | shared | 0 | - | 1",
      "▸ 3 Running (1)",
      "8.0 s acme | agent:main:notes | 4 look, try 2 | run-1",
      "▸ 4 Failures (1)",
      "1 m 0 s other | agent:main:main | failed | model_auth: no key for de…",
      "▸ 5 Sizing (1)",
      "3.0 s worker | 2 → 4 | 9 sessions running and 3 waiting, for 4 slots a w…",
      ...Array.from({ length: 6 }, () => ""),
      "Tab ↑↓ Enter open | / filter | d drain | s scale | l logs | ? help | q leave",
    ]);
  });

  it.each([
    [80, 23],
    [60, 14],
    [40, 10],
    [200, 60],
  ])("is never wider or higher than %i by %i", (columns, rows) => {
    const shown = screen({ columns, rows }).split("\n");
    expect(shown).toHaveLength(rows);
    expect(Math.max(...shown.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(shown.at(-1)).toContain("Tab");
  });

  it("finds rows by tenant, session and words, and says what it hides", () => {
    const found = screen({}, "tenant:acme notes");
    expect(found).toContain("run-1");
    expect(found).toContain("4 Failures (0 of 1)");
    expect(screen({}, "model_auth")).toContain("3 Running (0 of 1)");
    expect(screen({}, "session:notes")).toContain("2 Lanes (2)");
  });

  it("sends no colour where none is wanted", () => {
    expect(screen()).not.toContain("\u001B");
  });

  it("says that it is looking before it has seen anything, and why a picture is old", () => {
    expect(screen({ snapshot: null })).toContain("looking…");
    const snapshot = { view, at: EXAMPLE_NOW, problem: "the supervisor does not answer" };
    expect(screen({ snapshot })).toContain("this picture is old: the supervisor does not answer");
  });

  it("shows an open run from its end, and its beginning when scrolled", () => {
    const mode = { kind: "run", tenant: "acme", runId: "run-1", back: 0 } as const;
    const run = {
      tenant: "acme",
      runId: "run-1",
      sessionKey: "agent:main:notes",
      agentId: "main",
      status: "failed",
      attempt: 2,
      worker: null,
      acceptedAt: 0,
      startedAt: 0,
      error: { kind: "timeout", message: "too slow" },
      result: { text: "word ".repeat(400), stopReason: "error" },
    };
    const steps = [{ kind: "tool_started", stepNo: 2, toolCallId: "c", toolName: "look", at: 1_500 }];
    const detail = { ...NO_DETAIL, run: { run, steps, events: [] } } as unknown as ScreenProps["detail"];
    const end = screen({ detail, state: { ...BROWSING, mode } });
    expect(end).toContain("Run run-1");
    expect(end).not.toContain("too slow");
    const top = screen({ detail, state: { ...BROWSING, mode: { ...mode, back: 1_000 } } });
    expect(top).toContain("error timeout: too slow");
    expect(top).toContain("1.5 s  step 2: calls look (c)");
    expect(top).toMatch(/lines below/);
  });

  it("explains its keys", () => {
    expect(screen({ state: { ...BROWSING, mode: { kind: "help" } } })).toContain("drain the instance");
    const effect = { kind: "drain", instance: "worker-1" } as const;
    const mode = { kind: "confirm", question: "drain worker-1?", effect } as const;
    expect(screen({ state: { ...BROWSING, mode } })).toContain("drain worker-1?  y: yes, other keys: no");
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
    )((snapshot) => {
      seen.push(`${snapshot.view.phase} ${snapshot.problem ?? "-"}`);
    });
    await clock.advance(2_000);
    stop();
    await clock.advance(5_000);
    expect(seen).toEqual(["ready -", "ready away", "degraded -"]);
    expect(look).toBe(3);
  });
});
