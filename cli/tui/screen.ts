import { type Key, useApp, useInput, useStdin, useWindowSize } from "ink";
import { useEffect, useMemo, useReducer, useRef, useState } from "react";
import { asHAError } from "../../server/core/errors.ts";
import type { CliContext } from "../context.ts";
import { carryOut } from "./carry-out.ts";
import { type Detail, NO_DETAIL } from "./detail.ts";
import { followDetail } from "./follow-detail.ts";
import { h } from "./h.ts";
import { BROWSING, type Effect, type KeyPress, press } from "./screen-state.ts";
import { ScreenView } from "./screen-view.ts";
import { sectionsOf } from "./sections.ts";
import { useSnapshot } from "./use-snapshot.ts";
import type { SnapshotSource } from "./use-snapshot.ts";

/** The screen of `status --watch` and `up --foreground`: follows a deployment until the signal aborts or it is left. */
export function Screen({
  context,
  footer,
  source,
}: {
  readonly context: CliContext;
  readonly footer: string;
  readonly source: SnapshotSource;
}) {
  const { exit } = useApp();
  const { columns, rows } = useWindowSize();
  const snapshot = useSnapshot(source);
  const [state, setState] = useState(BROWSING);
  // Several keys may come before the next frame.
  const newest = useRef(BROWSING);
  const [message, setMessage] = useState<string | null>(null);
  const sections = useMemo(
    () => (snapshot === null ? [] : sectionsOf(snapshot.view, snapshot.at, state.filter)),
    [snapshot, state.filter],
  );
  useEnd(context.signal, exit);
  const detail = useDetail(context, state.mode, setMessage);

  const onEffect = (effect: Effect): void => {
    if (effect.kind === "quit") return exit();
    void carryOut(context, effect, setMessage);
  };
  const { isRawModeSupported } = useStdin();
  useInput(
    (input, key) => {
      setMessage(null);
      for (const one of keyPresses(input, key)) {
        const step = press(newest.current, one, sections);
        newest.current = step.state;
        if (step.effect !== null) onEffect(step.effect);
      }
      setState(newest.current);
    },
    // Where keys cannot be read, it is a picture all the same.
    { isActive: isRawModeSupported },
  );
  return h(ScreenView, {
    columns,
    footer,
    message,
    sections,
    snapshot,
    state,
    detail,
    // A frame as high as the terminal would scroll it.
    rows: rows - 1,
    color: context.output.rich,
  });
}

function useEnd(signal: AbortSignal, exit: () => void): void {
  useEffect(() => {
    const end = (): void => exit();
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    return () => signal.removeEventListener("abort", end);
  }, [exit, signal]);
}

/** What an open run or log shows; it is read for as long as it is open. */
function useDetail(
  context: CliContext,
  mode: Parameters<typeof followDetail>[1] | { readonly kind: string },
  onProblem: (message: string) => void,
): Detail {
  const opened = "back" in mode ? mode : null;
  const what = opened === null ? "" : JSON.stringify({ ...opened, back: 0 });
  const [detail, setDetail] = useReducer((_: Detail, next: Detail) => next, NO_DETAIL);
  useEffect(() => {
    if (opened === null) return undefined;
    const closing = new AbortController();
    const signal = AbortSignal.any([closing.signal, context.signal]);
    setDetail(NO_DETAIL);
    followDetail({ ...context, signal }, opened, (next) => {
      if (!signal.aborted) setDetail(next);
    }).catch((error: unknown) => {
      if (!signal.aborted) onProblem(asHAError(error).message);
    });
    return () => closing.abort();
    // Scrolling reads nothing anew.
  }, [what]);
  return detail;
}

const NAMES = {
  upArrow: "up",
  downArrow: "down",
  pageUp: "pageUp",
  pageDown: "pageDown",
  home: "home",
  end: "end",
  leftArrow: "backTab",
  rightArrow: "tab",
  return: "enter",
  escape: "escape",
  backspace: "backspace",
  delete: "backspace",
} as const satisfies Partial<Record<keyof Key, KeyPress["name"]>>;

/** Keys as Ink tells them: one that has a name, or characters, of which a slow line may bring several at once. */
function keyPresses(input: string, key: Key): KeyPress[] {
  if (key.ctrl && input === "c") return [{ input: "", name: "interrupt" }];
  if (key.tab) return [{ input: "", name: key.shift ? "backTab" : "tab" }];
  const name = Object.entries(NAMES).find(([field]) => key[field as keyof typeof NAMES])?.[1];
  if (name !== undefined) return [{ input: "", name }];
  return key.ctrl || key.meta ? [] : Array.from(input, typedKey);
}

const CHARACTERS: Readonly<Record<string, KeyPress["name"]>> = {
  "\t": "tab",
  "\r": "enter",
  "\n": "enter",
  "\u0003": "interrupt",
  "\u001B": "escape",
  "\u007F": "backspace",
};

function typedKey(character: string): KeyPress {
  const name = CHARACTERS[character];
  return name === undefined ? { input: character } : { input: "", name };
}
