import { describe, expect, it } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { addTool, deafTool, hangingTool, throwingTool } from "../testing/test-tools.ts";
import { executeTool, prepareCall } from "./tool-step.ts";

const call = { type: "toolCall", id: "c1", name: "add", arguments: { a: 1 } } as const;

describe("prepareCall", () => {
  it("refuses what the validator refuses, in its words", () => {
    const prepared = prepareCall(call, [addTool], () => {
      throw new Error("b is missing");
    });
    expect(prepared).toEqual({ kind: "refused", outcome: { text: "b is missing", isError: true } });
  });

  it("names the tools that there are when asked for another one", () => {
    const prepared = prepareCall({ ...call, name: "subtract" }, [addTool], () => ({}));
    expect(prepared).toMatchObject({
      kind: "refused",
      outcome: { text: "There is no tool subtract. Tools: add." },
    });
  });
});

describe("executeTool", () => {
  const never = new AbortController().signal;

  it("makes an error result of a throw, also of one before the first await", async () => {
    const sync = { ...addTool, execute: () => { throw new Error("at once"); } }; // prettier-ignore
    expect(await executeTool(sync, { id: "c1", args: {} }, never, fakeClock())).toEqual({
      text: "at once",
      isError: true,
    });
    expect(await executeTool(throwingTool(), { id: "c1", args: {} }, never, fakeClock())).toMatchObject({
      isError: true,
    });
  });

  it("takes a result that comes within the grace after an abort", async () => {
    const abort = new AbortController();
    const slow = {
      ...addTool,
      execute: (_call: unknown, signal: AbortSignal) =>
        new Promise<{ text: string }>((resolve) => {
          signal.addEventListener("abort", () => resolve({ text: "saved what there was" }));
        }),
    };
    const running = executeTool(slow, { id: "c1", args: {} }, abort.signal, fakeClock());
    abort.abort();
    expect(await running).toEqual({ text: "saved what there was", isError: false });
  });

  it("says that the outcome is unknown of a tool that threw because it was stopped", async () => {
    const { tool, started } = hangingTool();
    const abort = new AbortController();
    const running = executeTool(tool, { id: "c1", args: {} }, abort.signal, fakeClock());
    await started;
    abort.abort();
    expect((await running).text).toContain("unknown");
  });

  it("leaves a tool that does not stop, less than 100 ms after the abort", async () => {
    const { tool, started } = deafTool();
    const clock = fakeClock();
    const abort = new AbortController();
    const running = executeTool(tool, { id: "c1", args: {} }, abort.signal, clock);
    await started;
    abort.abort();
    await clock.advance(99);
    expect(await running).toMatchObject({ isError: true });
  });
});
