import { describe, expect, it } from "vitest";
import { messageText } from "../../core/transcript.ts";
import { recordingIO } from "../../testing/agent-harness.ts";
import {
  bigOutputTool,
  idempotentCounter,
  nonIdempotentCounter,
  throwingTool,
} from "../../testing/test-tools.ts";
import { never, type OpenFixture, resultsOf, setupWith } from "./agent-runtime-fixture.ts";
import { agentRuntimeInterrupted } from "./agent-runtime-interrupted.ts";
import { agentRuntimeSteered } from "./agent-runtime-steered.ts";

export type { AgentRuntimeFixture, ContractReply } from "./agent-runtime-fixture.ts";

/** What every AgentRuntime promises (ports/agent-runtime.ts), whatever its model is. */
export function agentRuntimeContract(adapter: string, open: OpenFixture): void {
  describe(`AgentRuntime contract: ${adapter}`, () => {
    const setup = setupWith(open);

    describe("answering", () => {
      it("sends the text in deltas and hands the last message back for the finishing commit", async () => {
        const { runtime, turn } = await setup([{ text: "one two three four", pieces: 4 }]);
        const io = recordingIO();
        const outcome = await runtime.run(turn, io, never());
        expect(outcome).toMatchObject({
          status: "succeeded",
          error: null,
          result: { text: "one two three four", stopReason: "stop" },
          steps: [{ kind: "model", stepNo: 1 }],
        });
        expect(outcome.messages.map(messageText)).toEqual(["one two three four"]);
        expect(io.held()).toBe("one two three four");
        expect(io.events().filter((event) => event.type === "delta")).toHaveLength(4);
        expect(io.log).toHaveLength(4); // no checkpoint, no replace: nothing depends on the message before finish
      });

      it("sets the text back before a second message, so that followers end with the result's text", async () => {
        const { tool } = idempotentCounter();
        const { runtime, turn } = await setup(
          [{ text: "Let me look.", calls: ["mark"] }, { text: "Done." }],
          [tool],
        );
        const io = recordingIO();
        const outcome = await runtime.run(turn, io, never());
        expect(outcome.result?.text).toBe("Done.");
        expect(io.held()).toBe("Done.");
        const texts = io.events().filter(({ type }) => type === "replace" || type === "delta");
        const back = texts.findIndex(({ type }) => type === "replace");
        expect(texts[back]).toEqual({ type: "replace", text: "" });
        expect(texts.slice(back + 1).every(({ type }) => type === "delta")).toBe(true);
      });

      it("leaves followers with nothing where the last message has no text", async () => {
        const { tool } = idempotentCounter();
        const { runtime, turn } = await setup(
          [{ text: "Let me look.", calls: ["mark"] }, { text: "" }],
          [tool],
        );
        const io = recordingIO();
        const outcome = await runtime.run(turn, io, never());
        expect(outcome).toMatchObject({ status: "succeeded", result: { text: "" } });
        expect(io.held()).toBe("");
      });
    });

    describe("tools", () => {
      it("records a call before it runs and its result before the model is asked again, in the fewest commits", async () => {
        const pay = nonIdempotentCounter();
        const mark = idempotentCounter();
        const { runtime, turn, modelCalls } = await setup(
          [{ text: "Both.", calls: ["pay", "mark"] }, { text: "Done." }],
          [pay.tool, mark.tool],
        );
        const seen: { pay: number; mark: number; calls: number }[] = [];
        const io = recordingIO({
          onCheckpoint: async () => {
            seen.push({
              pay: pay.effects.length,
              mark: mark.effects.length,
              calls: await modelCalls(),
            });
          },
        });
        const outcome = await runtime.run({ ...turn, stepsDone: 7 }, io, never());
        expect(seen).toEqual([
          { pay: 0, mark: 0, calls: 1 },
          { pay: 1, mark: 0, calls: 1 },
          { pay: 1, mark: 1, calls: 1 },
        ]);
        expect([...io.steps(), ...outcome.steps].map(({ kind, stepNo }) => `${stepNo} ${kind}`)).toEqual([
          "8 model",
          "9 tool_started",
          "10 tool_result",
          "11 tool_started",
          "12 tool_result",
          "13 model",
        ]);
        expect([...io.messages(), ...outcome.messages].map(({ role }) => role)).toEqual([
          "assistant",
          "toolResult",
          "toolResult",
          "assistant",
        ]);
      });

      it("shows followers the start and the result of each call", async () => {
        const { tool } = idempotentCounter();
        const { runtime, turn } = await setup([{ calls: ["mark", "gone"] }, { text: "Done." }], [tool]);
        const io = recordingIO();
        await runtime.run(turn, io, never());
        expect(io.events().filter(({ type }) => type === "tool")).toMatchObject([
          { phase: "start", name: "mark" },
          { phase: "result", name: "mark", result: "marks: 1", isError: false },
          { phase: "start", name: "gone" },
          { phase: "result", name: "gone", isError: true },
        ]);
      });

      it("gives the model the error of a tool that throws or does not exist, and goes on", async () => {
        const { runtime, turn } = await setup(
          [{ calls: ["fail", "nothing"] }, { text: "Sorry." }],
          [throwingTool()],
        );
        const io = recordingIO();
        const outcome = await runtime.run(turn, io, never());
        expect(outcome.status).toBe("succeeded");
        expect(resultsOf(io.messages())).toMatchObject([
          { toolName: "fail", isError: true, text: "the disk is on fire" },
          { toolName: "nothing", isError: true, text: expect.stringContaining("no tool nothing") as string },
        ]);
      });

      it("keeps a large output whole in the message", async () => {
        const { runtime, turn } = await setup(
          [{ calls: ["dump"] }, { text: "Long." }],
          [bigOutputTool(100_000)],
        );
        const io = recordingIO();
        await runtime.run(turn, io, never());
        expect(resultsOf(io.messages())[0]?.text).toHaveLength(100_000);
      });
    });

    agentRuntimeSteered(open);
    agentRuntimeInterrupted(open);
  });
}
