import {
  circuitBreaker,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  handleWhenResult,
  isBrokenCircuitError,
} from "cockatiel";
import type { ModelSpec } from "../../core/catalog.ts";
import type { Logger } from "../../ports/logger.ts";
import type { StreamResult } from "./stream-answer.ts";

export interface CircuitOptions {
  /** Failures in a row, over all runs of this process, that open a provider's circuit. */
  readonly failures: number;
  /** How long it stays open before one call may try; milliseconds. */
  readonly halfOpenAfterMs: number;
}

/** Guards one provider endpoint for all runs of this process. */
export interface Circuit {
  /**
   * Makes a call, or answers `open` at once while the provider is known to be down. `onFirst` is to be called when
   * the first piece of the answer is here.
   */
  run(
    call: (onFirst: () => void) => Promise<StreamResult>,
  ): Promise<StreamResult | { readonly kind: "open" }>;
}

/** Thrown through the breaker for calls that say nothing about the provider: they count neither way. */
class Inconclusive extends Error {}

/**
 * A circuit per provider and address. Keys, limits and requests are a tenant's own, so failures that come from them
 * do not count: one tenant's bad key never closes the door on another.
 */
export function circuits(options: CircuitOptions, logger: Logger): (model: ModelSpec) => Circuit {
  const known = new Map<string, Circuit>();
  return (model) => {
    const key = `${model.provider} ${model.baseUrl}`;
    let circuit = known.get(key);
    if (circuit === undefined) {
      circuit = openable(policyOf(options, logger, model.provider));
      known.set(key, circuit);
    }
    return circuit;
  };
}

function policyOf(options: CircuitOptions, logger: Logger, provider: string): CircuitBreakerPolicy {
  const unhealthy = (result: unknown): boolean => {
    const answer = result as StreamResult;
    return answer.kind === "failure" && answer.failure.unhealthy;
  };
  const policy = circuitBreaker(handleWhenResult(unhealthy), {
    halfOpenAfter: options.halfOpenAfterMs,
    breaker: new ConsecutiveBreaker(options.failures),
  });
  policy.onBreak(() => logger.warn("model.circuit_opened", { provider }));
  policy.onReset(() => logger.info("model.circuit_closed", { provider }));
  return policy;
}

function openable(policy: CircuitBreakerPolicy): Circuit {
  return {
    async run(call) {
      // Somebody else's trial is under way. cockatiel would wait for its verdict; we have fallbacks.
      if (policy.state === CircuitState.HalfOpen) return { kind: "open" };
      let result: Promise<StreamResult> | undefined;
      try {
        await policy.execute(async () => {
          const { promise: first, resolve: onFirst } = Promise.withResolvers<null>();
          result = call(() => onFirst(null));
          // A trial has succeeded with the first piece: the others need not wait until a long answer is complete.
          const verdict =
            policy.state === CircuitState.HalfOpen ? await Promise.race([result, first]) : await result;
          if (verdict === null) return { kind: "stopped" } satisfies StreamResult;
          if (verdict.kind === "stopped") throw new Inconclusive();
          return verdict;
        });
      } catch (error) {
        if (isBrokenCircuitError(error)) return { kind: "open" };
        if (!(error instanceof Inconclusive)) throw error;
      }
      return (await result) as StreamResult;
    },
  };
}
