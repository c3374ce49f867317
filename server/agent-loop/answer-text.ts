import type { RunEventBody } from "../core/run-event.ts";

/**
 * Keeps what followers hold (the text since the last `replace`) equal to what the run has to say.
 * Deltas go straight through; a `replace` goes out only where the text has to be set back.
 */
export interface AnswerText {
  /** A new assistant message: what is shown goes away with its first delta. */
  begin(): void;
  /** Another try at the same message: what there is of it stays until the first delta of the new try. */
  retry(): void;
  delta(text: string): void;
  thinking(text: string): void;
  /** Text of the message that is being written. */
  current(): string;
  /** What followers hold now. */
  shown(): string;
  /** Makes followers hold exactly this text. */
  settle(text: string): void;
}

/**
 * @param shownBefore text that followers may hold from an earlier attempt, or null when this is the first one.
 *   It is a guess: the first delta replaces it in any case.
 */
export function answerText(emit: (body: RunEventBody) => void, shownBefore: string | null): AnswerText {
  let shown = shownBefore ?? "";
  /** False while it is not certain that followers hold `shown`. */
  let certain = shownBefore === null;
  let current = "";
  let fresh = true;

  const replace = (text: string): void => {
    emit({ type: "replace", text });
    shown = text;
    certain = true;
  };

  return {
    begin() {
      current = "";
      fresh = true;
    },
    retry() {
      fresh = true;
    },
    delta(text) {
      if (text === "") return;
      if (fresh) {
        fresh = false;
        current = "";
        if (shown !== "" || !certain) replace("");
      }
      current += text;
      shown += text;
      emit({ type: "delta", text });
    },
    thinking(text) {
      if (text !== "") emit({ type: "thinking", text });
    },
    current: () => current,
    shown: () => shown,
    settle(text) {
      if (shown !== text || !certain) replace(text);
    },
  };
}
