import { describe, expect, it } from "vitest";
import { EXAMPLE_NOW, exampleActivity, exampleView } from "../testing/deployment-view.ts";
import { BROWSING, type Effect, type KeyPress, press, type ScreenState } from "./screen-state.ts";
import { sectionsOf } from "./sections.ts";

const view = exampleView({ activity: exampleActivity });
const NAMED = new Set(["up", "down", "tab", "backTab", "enter", "escape", "backspace", "end", "interrupt"]);

/** Presses keys, one word each, as the screen would, and answers where that leads. */
function pressed(keys: string, from: ScreenState = BROWSING): { state: ScreenState; effects: Effect[] } {
  let state = from;
  const effects: Effect[] = [];
  for (const word of keys.split(" ")) {
    const key: KeyPress = NAMED.has(word) ? { input: "", name: word as "up" } : { input: word };
    const step = press(state, key, sectionsOf(view, EXAMPLE_NOW, state.filter));
    if (step.effect !== null) effects.push(step.effect);
    state = step.state;
  }
  return { state, effects };
}

describe("keys of the live screen", () => {
  it("go from list to list and along them, and stay on the row when the list changes", () => {
    expect(pressed("tab tab").state.focus).toBe(2);
    expect(pressed("backTab").state.focus).toBe(4);
    expect(pressed("4").state.focus).toBe(3);
    expect(pressed("9").state.focus).toBe(0);
    const { state } = pressed("down");
    expect(state.cursors).toEqual({ 0: "worker-1" });
    expect(pressed("j down end k up up", state).state.cursors).toEqual({ 0: "gateway-1" });
  });

  it("open a run, its logs, and come back", () => {
    const opened = pressed("3 enter");
    expect(opened.state.mode).toEqual({ kind: "run", tenant: "acme", runId: "run-1", back: 0 });
    expect(pressed("up up", opened.state).state.mode).toMatchObject({ back: 2 });
    expect(pressed("l", opened.state).state.mode).toMatchObject({ kind: "logs", run: "run-1" });
    expect(pressed("escape", opened.state).state.mode).toEqual({ kind: "browse" });
    expect(pressed("enter").state.mode).toMatchObject({ kind: "logs", target: "gateway-1", run: null });
    expect(pressed("5 l").state.mode).toMatchObject({ kind: "logs", target: null, run: null });
  });

  it("drain and scale only when told so twice", () => {
    expect(pressed("down d").effects).toEqual([]);
    expect(pressed("down d n").effects).toEqual([]);
    expect(pressed("down d y").effects).toEqual([{ kind: "drain", instance: "worker-1" }]);
    expect(pressed("3 d").state.mode).toEqual({ kind: "browse" });
    expect(pressed("s 4 enter").effects).toEqual([]);
    expect(pressed("s 4 enter y").effects).toEqual([{ kind: "scale", words: "worker=4" }]);
    expect(pressed("s escape y").effects).toEqual([]);
  });

  it("type a filter, whatever its letters mean elsewhere, and clear it", () => {
    const { effects, state } = pressed("/ q x backspace d enter");
    expect(effects).toEqual([]);
    expect(state).toMatchObject({ filter: "qd", mode: { kind: "browse" } });
    expect(pressed("escape", state).state.filter).toBe("");
  });

  it("leave, from anywhere", () => {
    for (const keys of ["q", "interrupt", "/ interrupt", "3 enter interrupt", "? interrupt"]) {
      expect([keys, pressed(keys).effects]).toEqual([keys, [{ kind: "quit" }]]);
    }
  });
});
