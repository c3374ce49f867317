import type { Section, Subject } from "./sections.ts";

/** A key that was pressed: its character, or its name. */
export interface KeyPress {
  readonly input: string;
  readonly name?:
    | "up"
    | "down"
    | "pageUp"
    | "pageDown"
    | "home"
    | "end"
    | "tab"
    | "backTab"
    | "enter"
    | "escape"
    | "backspace"
    | "interrupt";
}

/** What a key asks for beyond the screen. */
export type Effect =
  | { readonly kind: "drain"; readonly instance: string }
  | { readonly kind: "scale"; readonly words: string }
  | { readonly kind: "quit" };

export type Mode =
  | { readonly kind: "browse" }
  | { readonly kind: "help" }
  | { readonly kind: "filter"; readonly typed: string }
  | { readonly kind: "scale"; readonly typed: string }
  | { readonly kind: "confirm"; readonly question: string; readonly effect: Effect }
  /** `back`: lines that the end is scrolled away from. */
  | { readonly kind: "run"; readonly tenant: string; readonly runId: string; readonly back: number }
  | {
      readonly kind: "logs";
      readonly target: string | null;
      readonly run: string | null;
      readonly back: number;
    };

export interface ScreenState {
  readonly mode: Mode;
  /** Place of the section in focus. */
  readonly focus: number;
  /** For each section the row that the cursor stands on: it stays with it when the list changes. */
  readonly cursors: Readonly<Record<number, string>>;
  readonly filter: string;
}

export const BROWSING: ScreenState = { mode: { kind: "browse" }, focus: 0, cursors: {}, filter: "" };

export interface Step {
  readonly state: ScreenState;
  readonly effect: Effect | null;
}

const PAGE = 10;

/** Where the cursor of a section stands; the first row where it is nowhere. */
export function cursorOf({ cursors }: ScreenState, place: number, section: Section | undefined): number {
  const found = section?.rows.findIndex(({ id }) => id === cursors[place]) ?? -1;
  return Math.max(0, found);
}

/** What a key does to the screen, and what it asks for. */
export function press(state: ScreenState, key: KeyPress, sections: readonly Section[]): Step {
  if (key.name === "interrupt") return { state, effect: { kind: "quit" } };
  switch (state.mode.kind) {
    case "browse":
      return browse(state, key, sections);
    case "filter":
    case "scale":
      return type(state, state.mode, key);
    case "confirm":
      return {
        state: { ...state, mode: { kind: "browse" } },
        effect: key.input.toLowerCase() === "y" ? state.mode.effect : null,
      };
    case "help":
      return to(state, { kind: "browse" });
    case "run":
    case "logs":
      return read(state, state.mode, key);
    default:
      return state.mode satisfies never;
  }
}

const to = (state: ScreenState, mode: Mode): Step => ({ state: { ...state, mode }, effect: null });
const stay = (state: ScreenState): Step => ({ state, effect: null });

function browse(state: ScreenState, key: KeyPress, sections: readonly Section[]): Step {
  const after = moveFocus(state, key, sections.length) ?? moveCursor(state, key, sections);
  if (after !== null) return stay(after);
  const section = sections[state.focus];
  const subject: Subject = section?.rows[cursorOf(state, state.focus, section)]?.subject ?? { kind: "none" };
  if (key.name === "enter") return opened(state, subject);
  if (key.name === "escape") return stay({ ...state, filter: "" });
  switch (key.input) {
    case "q":
      return { state, effect: { kind: "quit" } };
    case "?":
      return to(state, { kind: "help" });
    case "/":
      return to(state, { kind: "filter", typed: state.filter });
    case "s":
      return to(state, { kind: "scale", typed: "worker=" });
    case "d":
      return subject.kind === "instance" ? to(state, drainQuestion(subject.id)) : stay(state);
    case "l":
      return to(state, logsOf(subject));
    default:
      return stay(state);
  }
}

/** A run is opened; an instance shows its log. */
function opened(state: ScreenState, subject: Subject): Step {
  if (subject.kind === "none") return stay(state);
  if (subject.kind === "instance") return to(state, logsOf(subject));
  return to(state, { kind: "run", tenant: subject.tenant, runId: subject.runId, back: 0 });
}

const logsOf = (subject: Subject): Mode => ({
  kind: "logs",
  target: subject.kind === "instance" ? subject.id : null,
  run: subject.kind === "run" ? subject.runId : null,
  back: 0,
});

const drainQuestion = (instance: string): Mode => ({
  kind: "confirm",
  question: `drain ${instance}? It stays away until up or scale.`,
  effect: { kind: "drain", instance },
});

function moveFocus(state: ScreenState, { input, name }: KeyPress, count: number): ScreenState | null {
  if (name === "tab") return { ...state, focus: (state.focus + 1) % count };
  if (name === "backTab") return { ...state, focus: (state.focus + count - 1) % count };
  const place = Number(input) - 1;
  return /^[1-9]$/.test(input) && place < count ? { ...state, focus: place } : null;
}

function moveCursor(state: ScreenState, key: KeyPress, sections: readonly Section[]): ScreenState | null {
  const section = sections[state.focus];
  const length = section?.rows.length ?? 0;
  const next = moved(cursorOf(state, state.focus, section), key, length);
  if (next === null) return null;
  const row = section?.rows[next];
  return row === undefined ? state : { ...state, cursors: { ...state.cursors, [state.focus]: row.id } };
}

/** Where a cursor goes; null for a key that moves none. */
function moved(at: number, { input, name }: KeyPress, length: number): number | null {
  const step = STEPS[name ?? ""] ?? STEPS[input];
  if (step === undefined) return null;
  return Math.min(Math.max(0, at + step), Math.max(0, length - 1));
}

const STEPS: Readonly<Record<string, number>> = {
  up: -1,
  k: -1,
  down: 1,
  j: 1,
  pageUp: -PAGE,
  pageDown: PAGE,
  home: -Infinity,
  g: -Infinity,
  end: Infinity,
  G: Infinity,
};

function type(state: ScreenState, mode: Extract<Mode, { readonly typed: string }>, key: KeyPress): Step {
  const { kind, typed } = mode;
  if (key.name === "escape") return to(state, { kind: "browse" });
  if (key.name === "backspace") return edited(state, kind, typed.slice(0, -1));
  if (key.name !== "enter") return edited(state, kind, typed + (key.name === undefined ? key.input : ""));
  if (kind === "filter") return to(state, { kind: "browse" });
  return to(state, {
    kind: "confirm",
    question: `scale ${typed.trim()}?`,
    effect: { kind: "scale", words: typed.trim() },
  });
}

/** Lists follow the filter while it is typed. */
const edited = (state: ScreenState, kind: "filter" | "scale", typed: string): Step =>
  to(kind === "filter" ? { ...state, filter: typed } : state, { kind, typed });

function read(state: ScreenState, mode: Extract<Mode, { readonly back: number }>, key: KeyPress): Step {
  if (key.name === "escape" || key.input === "q") return to(state, { kind: "browse" });
  if (key.input === "l" && mode.kind === "run") {
    return to(state, { kind: "logs", target: null, run: mode.runId, back: 0 });
  }
  const step = STEPS[key.name ?? ""] ?? STEPS[key.input];
  if (step === undefined) return stay(state);
  return to(state, { ...mode, back: Math.max(0, Math.min(mode.back - step, Number.MAX_SAFE_INTEGER)) });
}
