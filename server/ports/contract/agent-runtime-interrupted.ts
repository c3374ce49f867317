import { describe, expect, it } from "vitest";
import { HAError } from "../../core/errors.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import { recordingIO, resumed } from "../../testing/agent-harness.ts";
import { deafTool, hangingTool, idempotentCounter, nonIdempotentCounter } from "../../testing/test-tools.ts";
import type { AgentTool } from "../agent-runtime.ts";
import { never, type OpenFixture, resultsOf, setupWith } from "./agent-runtime-fixture.ts";

/** The part of the contract that is about being cut short: by a crash, by the user, by the worker. */
export function agentRuntimeInterrupted(open: OpenFixture): void {
  const setup = setupWith(open);

  describe("resuming", () => {
    it("goes on after the last checkpoint without another call for what is finished", async () => {
      const pay = nonIdempotentCounter();
      const { runtime, turn, modelCalls } = await setup(
        [{ text: "Paying.", calls: ["pay"] }, { text: "Paid." }],
        [pay.tool],
      );
      const cut = new AbortController();
      const first = recordingIO({
        // The process dies right after the commit that holds the tool's result.
        onCheckpoint: (no) => {
          if (no === 2) cut.abort(new HAError("LEASE_LOST", "cut by the test"));
        },
      });
      await expect(runtime.run(turn, first, cut.signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
      expect(first.steps().map(({ kind }) => kind)).toEqual(["model", "tool_started", "tool_result"]);

      const second = recordingIO({ heldBefore: "whatever followers held" });
      const outcome = await runtime.run(resumed(turn, first), second, never());
      expect(outcome.result?.text).toBe("Paid.");
      expect(outcome.steps).toEqual([{ kind: "model", stepNo: 4 }]);
      expect(second.held()).toBe("Paid.");
      expect(pay.effects).toHaveLength(1);
      expect(await modelCalls()).toBe(2);
    });

    /** The tool has run and its result is not stored: the process dies in between, and another one goes on. */
    const crashDuring = async (tool: AgentTool) => {
      const { runtime, turn } = await setup([{ calls: [tool.name] }, { text: "Done." }], [tool]);
      const first = recordingIO({
        onCheckpoint: (no) => {
          if (no === 2) throw new HAError("LEASE_LOST", "cut by the test");
        },
      });
      await expect(runtime.run(turn, first, never())).rejects.toMatchObject({ code: "LEASE_LOST" });
      const next = resumed(turn, first);
      expect(next.startedTools).toMatchObject([{ toolName: tool.name }]);
      const second = recordingIO();
      const outcome = await runtime.run(next, second, never());
      expect(outcome.status).toBe("succeeded");
      return resultsOf(second.messages());
    };

    it("tells the model that the outcome is unknown of a tool that may not be repeated", async () => {
      const { tool, effects } = nonIdempotentCounter();
      expect(await crashDuring(tool)).toMatchObject([
        { isError: true, text: expect.stringContaining("unknown") as string },
      ]);
      expect(effects).toHaveLength(1);
    });

    it("does not run a tool again that is no longer idempotent, or no longer there", async () => {
      for (const tools of [[{ ...idempotentCounter().tool, idempotent: false }], []]) {
        const { runtime, turn } = await setup([{ calls: ["mark"] }, { text: "Done." }], tools);
        const io = recordingIO();
        await runtime.run({ ...turn, ...interrupted("mark", turn.messages) }, io, never());
        expect(resultsOf(io.messages())).toMatchObject([
          { isError: true, text: expect.stringContaining("unknown") as string },
        ]);
      }
    });

    it("says that the outcome is unknown when the run is aborted before it could go on", async () => {
      const { runtime, turn } = await setup([{ text: "Never asked." }]);
      const outcome = await runtime.run(
        { ...turn, ...interrupted("pay", turn.messages) },
        recordingIO(),
        AbortSignal.abort(),
      );
      expect(outcome.status).toBe("aborted");
      expect(resultsOf(outcome.messages)).toMatchObject([
        { isError: true, text: expect.stringContaining("unknown") as string },
      ]);
    });

    it("runs an idempotent tool again, under the same call id", async () => {
      const { tool, effects, executions } = idempotentCounter();
      expect(await crashDuring(tool)).toMatchObject([{ isError: false, text: "marks: 1" }]);
      expect(executions()).toBe(2);
      expect(effects).toHaveLength(1);
    });
  });

  describe("stopping", () => {
    it("keeps the partial text when the user aborts, and says nothing more", async () => {
      const { runtime, turn } = await setup([{ text: "abcdefgh", pieces: 4, hangAfter: 2 }]);
      const io = recordingIO();
      const abort = new AbortController();
      const running = runtime.run(turn, io, abort.signal);
      await io.seen("delta");
      abort.abort(new HAError("REQUEST_INVALID", "the user changed their mind"));
      const outcome = await running;
      const events = io.events().length;
      expect(outcome).toMatchObject({ status: "aborted", error: null, result: { stopReason: "aborted" } });
      expect(outcome.result?.text).toBe(io.held());
      expect("abcdefgh".startsWith(io.held())).toBe(true);
      expect(outcome.messages).toMatchObject([
        { role: "assistant", stopReason: "aborted", content: [{ type: "text", text: io.held() }] },
      ]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(io.events()).toHaveLength(events);
    });

    it("says timed_out when the run's deadline ended it", async () => {
      const { runtime, turn } = await setup([{ text: "abcdefgh", pieces: 4, hangAfter: 2 }]);
      const io = recordingIO();
      const abort = new AbortController();
      const running = runtime.run(turn, io, abort.signal);
      await io.seen("delta");
      abort.abort(new HAError("TIMEOUT", "deadline"));
      expect(await running).toMatchObject({
        status: "timed_out",
        error: { kind: "timeout" },
        result: { stopReason: "timeout", text: io.held() },
      });
    });

    it.each(["LEASE_LOST", "DRAINING"] as const)("gives the run up when it is told %s", async (code) => {
      const { runtime, turn } = await setup([{ text: "abcdefgh", pieces: 4, hangAfter: 2 }]);
      const io = recordingIO();
      const abort = new AbortController();
      const running = runtime.run(turn, io, abort.signal);
      await io.seen("delta");
      const reason = new HAError(code, "told by the test");
      abort.abort(reason);
      await expect(running).rejects.toBe(reason);
      expect(io.steps()).toEqual([]);
    });

    it("does not wait for a store that hangs when the run is no longer its own", async () => {
      const { tool } = idempotentCounter();
      const { runtime, turn } = await setup([{ calls: ["mark"] }], [tool]);
      const abort = new AbortController();
      const reason = new HAError("LEASE_LOST", "told by the test");
      const io = recordingIO({
        onCheckpoint: () => {
          abort.abort(reason);
          return new Promise(() => undefined);
        },
      });
      await expect(runtime.run(turn, io, abort.signal)).rejects.toBe(reason);
    });

    it("stops at once when a checkpoint is refused, and runs no tool", async () => {
      const pay = nonIdempotentCounter();
      const { runtime, turn, modelCalls } = await setup([{ calls: ["pay"] }, { text: "Done." }], [pay.tool]);
      const refusal = new HAError("LEASE_LOST", "a newer holder has the session");
      const io = recordingIO({ onCheckpoint: () => Promise.reject(refusal) });
      await expect(runtime.run(turn, io, never())).rejects.toBe(refusal);
      expect(pay.effects).toEqual([]);
      expect(await modelCalls()).toBe(1);
      expect(io.events().filter(({ type }) => type === "tool")).toEqual([]);
    });

    it.each([hangingTool, deafTool])("ends while %o runs, with a result for every call", async (make) => {
      const { tool, started } = make();
      const pay = nonIdempotentCounter();
      const { runtime, turn } = await setup([{ calls: [tool.name, "pay"] }], [tool, pay.tool]);
      const io = recordingIO();
      const abort = new AbortController();
      const running = runtime.run(turn, io, abort.signal);
      await started;
      abort.abort();
      const outcome = await running;
      expect(outcome.status).toBe("aborted");
      expect(resultsOf(outcome.messages)).toMatchObject([
        { toolName: tool.name, isError: true, text: expect.stringContaining("unknown") as string },
        { toolName: "pay", isError: true, text: expect.stringContaining("Not run") as string },
      ]);
      expect(pay.effects).toEqual([]);
    });

    it("asks no model when the run was aborted before it began", async () => {
      const { runtime, turn, modelCalls } = await setup([{ text: "Too late." }]);
      const io = recordingIO();
      const outcome = await runtime.run(turn, io, AbortSignal.abort());
      expect(outcome).toMatchObject({ status: "aborted", messages: [], steps: [] });
      expect(await modelCalls()).toBe(0);
      expect(io.log).toEqual([]);
    });
  });
}

/** A run that was cut while the tool ran. */
const interrupted = (name: string, messages: readonly TranscriptMessage[]) => ({
  attempt: 2,
  stepsDone: 2,
  startedTools: [{ toolCallId: "c1", toolName: name, idempotent: true }],
  messages: [
    ...messages,
    {
      role: "assistant",
      content: [{ type: "toolCall", id: "c1", name, arguments: {} }],
      stopReason: "toolUse",
      timestamp: 1,
    } satisfies TranscriptMessage,
  ],
});
