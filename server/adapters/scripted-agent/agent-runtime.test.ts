import { describe, expect, it } from "vitest";
import { messageText } from "../../core/transcript.ts";
import { agentRuntimeContract, type ContractReply } from "../../ports/contract/agent-runtime.contract.ts";
import { recordingIO, turnOf } from "../../testing/agent-harness.ts";
import { systemClock } from "../system/clock.ts";
import { SCRIPTED_ANSWER, scriptedAgentRuntime, type ScriptedMove } from "./agent-runtime.ts";
import { gate } from "./gate.ts";

const never = new AbortController().signal;

/** The contract's replies as moves of a script. */
function movesOf({ text = "", pieces = 1, calls = [], hangAfter }: ContractReply): ScriptedMove[] {
  const size = Math.ceil(text.length / pieces);
  const moves: ScriptedMove[] = [];
  for (let i = 0; i < text.length; i += size) moves.push({ say: text.slice(i, i + size) });
  if (hangAfter !== undefined) moves.splice(hangAfter, 0, { gate: gate() });
  return [...moves, ...calls.map((call) => ({ call }))];
}

agentRuntimeContract("scripted", () => {
  let replies: readonly ContractReply[] = [];
  let calls = 0;
  return Promise.resolve({
    runtime: scriptedAgentRuntime({
      clock: systemClock,
      script: (_turn, callsAnswered) => {
        calls++;
        return movesOf(replies[callsAnswered] ?? {});
      },
    }),
    models: [],
    ask(wanted) {
      replies = wanted;
      return "follow the script";
    },
    modelCalls: () => Promise.resolve(calls),
    close: () => Promise.resolve(),
  });
});

describe("scriptedAgentRuntime", () => {
  it("answers a fixed text in a few deltas when it has no script", async () => {
    const io = recordingIO();
    const outcome = await scriptedAgentRuntime({ clock: systemClock }).run(
      turnOf("hello", { models: [] }),
      io,
      never,
    );
    expect(outcome.messages.map(messageText)).toEqual([SCRIPTED_ANSWER]);
    expect(io.events().length).toBeGreaterThan(1);
    expect(io.held()).toBe(SCRIPTED_ANSWER);
  });

  it("waits at a gate until the test opens it", async () => {
    const door = gate();
    const runtime = scriptedAgentRuntime({
      clock: systemClock,
      script: () => [{ say: "before" }, { gate: door }, { say: " after" }],
    });
    const io = recordingIO();
    const running = runtime.run(turnOf("hello", { models: [] }), io, never);
    await door.reached;
    expect(io.held()).toBe("before");
    door.open();
    expect((await running).result?.text).toBe("before after");
  });

  it("fails and checkpoints where the script says so", async () => {
    let checkpoints = 0;
    const error = { kind: "model_rejected", message: "no" };
    const runtime = scriptedAgentRuntime({
      clock: systemClock,
      script: () => [{ checkpoint: true }, { say: "half" }, { fail: error }],
    });
    const io = recordingIO({ onCheckpoint: () => void checkpoints++ });
    const outcome = await runtime.run(turnOf("hello", { models: [] }), io, never);
    expect(checkpoints).toBe(1);
    expect(outcome).toMatchObject({ status: "failed", error, result: { text: "half", stopReason: "error" } });
    expect(outcome.messages).toMatchObject([{ stopReason: "error" }]);
  });
});
