import { runAgentLoop } from "../../agent-loop/agent-loop.ts";
import type { ModelCall } from "../../agent-loop/model-call.ts";
import type { RunError } from "../../core/run.ts";
import type { ContentBlock } from "../../core/transcript.ts";
import type { AgentRuntime, AgentTurn } from "../../ports/agent-runtime.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Gate } from "./gate.ts";

/** One thing that the scripted model does while it answers. */
export type ScriptedMove =
  /** One delta. */
  | { readonly say: string }
  | { readonly think: string }
  /** Tells the test that it has come here, and goes on when the gate opens or the run is aborted. */
  | { readonly gate: Gate }
  /** An empty checkpoint, so that the worker hears what has arrived for the run. */
  | { readonly checkpoint: true }
  /** A tool call of this answer; executed, as real ones are, when the answer is complete. */
  | { readonly call: string; readonly args?: Readonly<Record<string, unknown>>; readonly id?: string }
  /** The model fails for good, here. */
  | { readonly fail: RunError };

/** The moves of one model call. `callsAnswered` is 0 for the first call of a run, also on later attempts. */
export type Script = (turn: AgentTurn, callsAnswered: number) => readonly ScriptedMove[];

/** Text of the default script: an answer of an ordinary length in a few deltas. */
export const SCRIPTED_ANSWER = "This answer was written by a script, without a model and without a network.";

const PIECES = SCRIPTED_ANSWER.match(/.{1,20}/gs)?.map((say): ScriptedMove => ({ say })) ?? [];

/**
 * An AgentRuntime without model and network: for benchmarks of the control path, and for tests that steer a run by
 * events. Checkpoints, tools, aborts and resumption are those of the real loop.
 */
export function scriptedAgentRuntime(deps: {
  readonly clock: Clock;
  readonly script?: Script;
}): AgentRuntime {
  const { clock, script = () => PIECES } = deps;

  const askModel: ModelCall = async ({ turn, callsAnswered, messages, io, text, signal }) => {
    const name = { provider: "scripted", model: "script" };
    const content: ContentBlock[] = [];
    for (const move of script(turn, callsAnswered)) {
      if ("say" in move) text.delta(move.say);
      else if ("think" in move) text.thinking(move.think);
      else if ("gate" in move) await move.gate.pass(signal);
      else if ("checkpoint" in move) await io.checkpoint([], []);
      else if ("fail" in move) return { kind: "failed", error: move.fail, model: name };
      else {
        const id = move.id ?? `call_${messages.length}_${content.length}`;
        content.push({ type: "toolCall", id, name: move.call, arguments: move.args ?? {} });
      }
      if (signal.aborted) return { kind: "stopped", model: name };
    }
    return {
      kind: "message",
      message: {
        role: "assistant",
        content: text.current() === "" ? content : [{ type: "text", text: text.current() }, ...content],
        ...name,
        stopReason: content.length > 0 ? "toolUse" : "stop",
        usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0 },
        timestamp: clock.now(),
      },
    };
  };

  const loop = { askModel, validate: (_: unknown, call: { arguments: unknown }) => call.arguments, clock };
  return { run: (turn, io, signal) => runAgentLoop({ ...loop, maxSteps: 100 }, turn, io, signal) };
}
