import {
  judgeAnswer,
  type Marks,
  marksOf,
  NOTHING_STREAMED,
  type StreamedText,
  withDelta,
} from "./answer.ts";
import type { ChatEvent } from "./connection.ts";
import { type Failure, unplanned } from "./failure.ts";
import { observe, type Tags } from "./metrics.ts";

/** One message of a client and what came of it. Times are milliseconds of the wall clock. */
export interface Run {
  /** Idempotency key, and so the run's id. */
  readonly key: string;
  readonly session: Session;
  readonly text: string;
  readonly marks: Marks;
  readonly dueAt: number;
  readonly tags: Tags;
  readonly wants: "answer" | "history" | "abort";
  ackedAt: number | null;
  /** A worker has it: known by the first thing that is heard of it. */
  begun: boolean;
  firstDelta: boolean;
  streamed: StreamedText;
  abortAskedAt: number | null;
  /** When its connection broke, until something is heard over the next one. */
  cutAt: number | null;
}

/** A conversation. It has one run at a time and is left after some turns, so that its context stays small. */
export interface Session {
  readonly key: string;
  turns: number;
}

export const newRun = (
  given: Pick<Run, "key" | "session" | "dueAt" | "tags" | "wants"> & {
    readonly text: (marks: Marks) => string;
  },
): Run => {
  const marks = marksOf(given.key, given.session.key);
  return {
    ...given,
    marks,
    text: given.text(marks),
    ackedAt: null,
    begun: false,
    firstDelta: false,
    streamed: NOTHING_STREAMED,
    abortAskedAt: null,
    cutAt: null,
  };
};

/** The end of a run, as its client sees it: null is a success. */
export type RunEnd = { readonly failure: Failure | null };

/** Takes one event of the run; answers its end when this was the last one. */
export function hear(run: Run, event: ChatEvent, now: number): RunEnd | null {
  if (run.cutAt !== null) {
    observe("reconnectGap", now - run.cutAt, run.tags);
    run.cutAt = null;
  }
  if (!run.begun) {
    run.begun = true;
    // Events may overtake the acknowledgement by a hair; the run has then not waited at all.
    observe("queueWait", now - (run.ackedAt ?? now), run.tags);
  }
  switch (event.state) {
    case "status":
      return null;
    case "delta":
      run.streamed = withDelta(run.streamed, event);
      if (!run.firstDelta) observe("firstDelta", now - run.dueAt, run.tags);
      run.firstDelta = true;
      return null;
    case "final":
      return { failure: endedWell(run, textOf(event), now) };
    case "aborted":
      if (run.abortAskedAt === null) return { failure: unplanned("aborted-unasked") };
      observe("abort", now - run.abortAskedAt, run.tags);
      return { failure: null };
    case "error":
      return { failure: unplanned("run-failed") };
    default:
      return null;
  }
}

function endedWell(run: Run, text: string, now: number): Failure | null {
  const wrong = judgeAnswer(text, run.marks);
  if (wrong !== null) return unplanned(wrong);
  // A client that shows the pieces must have shown the answer.
  if (run.streamed.text !== text) return unplanned("pieces-differ");
  observe("endToEnd", now - run.dueAt, run.tags);
  return null;
}

const textOf = ({ message }: ChatEvent): string =>
  (message?.content ?? []).map(({ text }) => text ?? "").join("");
