import { runAgentLoop } from "../../agent-loop/agent-loop.ts";
import type { ModelApi } from "../../core/catalog.ts";
import type { AgentRuntime } from "../../ports/agent-runtime.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";
import type { Random } from "../../ports/random.ts";
import { noTracing, type Tracing } from "../../ports/tracing.ts";
import { modelAsker, type RetryOptions } from "./ask-model.ts";
import { type CircuitOptions, circuits } from "./circuit.ts";
import { loadLlm, touch } from "./llm.ts";
import { type Deadlines, stallWatch } from "./stall-watch.ts";

export interface EmbeddedAgentOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
  /** Model calls of one run, over all attempts; default 50. */
  readonly maxSteps?: number;
  /** Default: 3 retries from 500 ms to 15 s. */
  readonly retry?: Partial<RetryOptions>;
  /** Default: open after 5 failures in a row, for 10 s. */
  readonly breaker?: Partial<CircuitOptions>;
  /** Default: 120 s to the first piece of an answer, 60 s between pieces. */
  readonly deadlines?: Partial<Deadlines>;
}

export interface EmbeddedAgentRuntime extends AgentRuntime {
  /**
   * Loads the library and the SDKs of these wire families, some 300 ms, so that the first run does not wait for it.
   * Nothing is sent. Never rejects: what cannot be loaded fails the runs that need it, with its reason.
   */
  warmUp(apis: readonly ModelApi[]): Promise<void>;
}

/**
 * The agent that runs inside the worker: @openclaw/ai asks the model, our own loop does the rest (agent-loop/).
 * One instance serves all runs of a process; they share circuits and connections, and nothing of a tenant.
 */
export function embeddedAgentRuntime(options: EmbeddedAgentOptions): EmbeddedAgentRuntime {
  const { random, clock, logger, tracing = noTracing, maxSteps = 50 } = options;
  const retry = { maxRetries: 3, baseMs: 500, capMs: 15_000, ...options.retry };
  const circuitOf = circuits({ failures: 5, halfOpenAfterMs: 10_000, ...options.breaker }, logger);
  const watch = stallWatch(clock, { firstMs: 120_000, idleMs: 60_000, ...options.deadlines });

  const load = async () => {
    const llm = await loadLlm();
    const askModel = modelAsker({ llm, watch, circuitOf, retry, random, clock, logger, tracing });
    return { llm, loop: { askModel, validate: llm.validate, clock, maxSteps } };
  };
  let loading: ReturnType<typeof load> | undefined;
  const loaded = (): ReturnType<typeof load> => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined; // the next run may find it
      throw error;
    });
    return loading;
  };

  return {
    run: async (turn, io, signal) => runAgentLoop((await loaded()).loop, turn, io, signal),
    async warmUp(apis) {
      try {
        const { llm } = await loaded();
        await Promise.all(apis.map((api) => touch(llm, api)));
      } catch (error) {
        logger.warn("agent.warm_up_failed", {
          error: error instanceof Error ? error.message : String(error),
        });
      }
    },
  };
}
