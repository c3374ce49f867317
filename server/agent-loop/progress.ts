import type { TranscriptMessage } from "../core/transcript.ts";
import type { AgentIO, AgentTurn } from "../ports/agent-runtime.ts";
import type { Step } from "../ports/run-ledger.ts";
import { unlessHandedOver } from "./stop-reason.ts";

/** A step without its number. */
type StepBody = Step extends infer Kind ? (Kind extends Step ? Omit<Kind, "stepNo"> : never) : never;

/**
 * The messages of a run as they grow, and which part of them is not durable yet.
 *
 * A checkpoint is made only where something is about to happen that depends on it; everything that waits goes along.
 * So a run without tools makes none (its one message goes with `finish`), and a message with k tool calls makes
 * k + 1: assistant message and first start, each result with the next start, the last result before the model is
 * asked again.
 */
export interface Progress {
  readonly messages: readonly TranscriptMessage[];
  add(step: StepBody | null, message: TranscriptMessage | null): void;
  /**
   * Makes durable what waits. With `steer`, before a model call, also where nothing waits: what users have sent meanwhile
   * is then at the end of `messages`.
   * @throws HAError LEASE_LOST, or the signal's reason when the run was handed over
   */
  checkpoint(steer?: "steer"): Promise<void>;
  /** Puts a compacted context in the place of the first `count` messages. */
  replaceHistory(count: number, context: readonly TranscriptMessage[]): void;
  /** What is left for `finish`. */
  rest(): { steps: readonly Step[]; messages: readonly TranscriptMessage[] };
}

export function progressOf(turn: AgentTurn, io: AgentIO, signal: AbortSignal): Progress {
  let messages = [...turn.messages];
  let stepNo = turn.stepsDone;
  let steps: Step[] = [];
  let waiting: TranscriptMessage[] = [];
  return {
    get messages() {
      return messages;
    },
    add(step, message) {
      if (step !== null) steps.push({ ...step, stepNo: ++stepNo });
      if (message !== null) {
        messages.push(message);
        waiting.push(message);
      }
    },
    async checkpoint(steer) {
      if (steps.length === 0 && waiting.length === 0 && steer === undefined) return;
      const stored = io.checkpoint(steps, waiting, { steer: steer !== undefined });
      steps = [];
      waiting = [];
      messages.push(...(await unlessHandedOver(stored, signal)));
    },
    replaceHistory(count, context) {
      messages = [...context, ...messages.slice(count)];
    },
    rest: () => ({ steps, messages: waiting }),
  };
}
