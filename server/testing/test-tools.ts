import type { AgentTool } from "../ports/agent-runtime.ts";

/** A tool that leaves marks, so that a test can count what really happened. */
export interface CountingTool {
  readonly tool: AgentTool;
  /** Ids of the calls that took effect, in order. */
  readonly effects: readonly string[];
}

const NO_ARGUMENTS = { type: "object", properties: {} };

/** Takes effect at most once for each call id, however often it is executed. */
export function idempotentCounter(name = "mark"): CountingTool & { readonly executions: () => number } {
  const effects: string[] = [];
  let executions = 0;
  return {
    effects,
    executions: () => executions,
    tool: {
      name,
      description: "Sets a mark; setting it twice is setting it once.",
      parameters: NO_ARGUMENTS,
      idempotent: true,
      execute({ id }) {
        executions++;
        if (!effects.includes(id)) effects.push(id);
        return Promise.resolve({ text: `marks: ${effects.length}` });
      },
    },
  };
}

/** Takes effect every time it is executed: what must never be repeated silently. */
export function nonIdempotentCounter(name = "pay"): CountingTool {
  const effects: string[] = [];
  return {
    effects,
    tool: {
      name,
      description: "Pays once for every call.",
      parameters: NO_ARGUMENTS,
      idempotent: false,
      execute({ id }) {
        effects.push(id);
        return Promise.resolve({ text: `paid ${effects.length} times` });
      },
    },
  };
}

/** Runs until its signal aborts, then throws, as a tool that waits for something does. */
export function hangingTool(name = "wait"): { readonly tool: AgentTool; readonly started: Promise<void> } {
  const { promise: started, resolve: onStart } = Promise.withResolvers<void>();
  return {
    started,
    tool: {
      name,
      description: "Waits until it is stopped.",
      parameters: NO_ARGUMENTS,
      idempotent: false,
      execute(_call, signal) {
        onStart();
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("stopped waiting")), { once: true });
        });
      },
    },
  };
}

/** Ignores its signal and never ends: the worst tool there is. */
export function deafTool(name = "deaf"): { readonly tool: AgentTool; readonly started: Promise<void> } {
  const { promise: started, resolve: onStart } = Promise.withResolvers<void>();
  return {
    started,
    tool: {
      name,
      description: "Never ends.",
      parameters: NO_ARGUMENTS,
      idempotent: false,
      execute() {
        onStart();
        return new Promise<never>(() => undefined);
      },
    },
  };
}

export const throwingTool = (name = "fail"): AgentTool => ({
  name,
  description: "Throws.",
  parameters: NO_ARGUMENTS,
  idempotent: true,
  execute: () => Promise.reject(new Error("the disk is on fire")),
});

export const bigOutputTool = (characters: number, name = "dump"): AgentTool => ({
  name,
  description: "Answers a long text.",
  parameters: NO_ARGUMENTS,
  idempotent: true,
  execute: () =>
    Promise.resolve({ text: "0123456789".repeat(Math.ceil(characters / 10)).slice(0, characters) }),
});

/** Has arguments that can be wrong. */
export const addTool: AgentTool = {
  name: "add",
  description: "Adds two numbers.",
  parameters: {
    type: "object",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
    additionalProperties: false,
  },
  idempotent: true,
  execute({ args }) {
    const { a, b } = args as { a: number; b: number };
    return Promise.resolve({ text: String(a + b) });
  },
};
