import type { ModelCall, ModelCallRequest } from "../../agent-loop/model-call.ts";
import type { ModelSpec } from "../../core/catalog.ts";
import { isHAError } from "../../core/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";
import { backoffMs, type Random } from "../../ports/random.ts";
import type { Tracing } from "../../ports/tracing.ts";
import type { Circuit } from "./circuit.ts";
import { cacheKeyOf, contextOf, modelOf, samplingOf, thinkingOf } from "./context.ts";
import { type ModelFailure, scrub, unavailable } from "./failure.ts";
import type { Llm } from "./llm.ts";
import type { StallWatch } from "./stall-watch.ts";
import { streamAnswer, type StreamResult } from "./stream-answer.ts";

export interface RetryOptions {
  /** Tries after the first one, for each model. */
  readonly maxRetries: number;
  /** Full jitter (ports/random.ts). Milliseconds. */
  readonly baseMs: number;
  /** Also the longest Retry-After that is waited for; a provider that asks for more is given up. */
  readonly capMs: number;
}

export interface AskModelDeps {
  readonly llm: Llm;
  readonly watch: StallWatch;
  readonly circuitOf: (model: ModelSpec) => Circuit;
  readonly retry: RetryOptions;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: Tracing;
}

/** A model that was asked, and why it did not answer. */
interface GivenUp {
  readonly model: ModelSpec;
  readonly failure: ModelFailure;
  readonly tries: number;
}

/**
 * Sent where a provider needs no key. Never nothing: @openclaw/ai would then look for keys in this process's
 * environment, which belong to no tenant.
 */
const NO_KEY = "none";

/**
 * Asks the models of a turn in their order until one answers. Each is tried again after failures that may pass, then
 * given up for the next. Any failure moves on to the next model, since keys, limits and accepted requests differ; a
 * context that is too long only to a model with a larger window.
 */
export function modelAsker(deps: AskModelDeps): ModelCall {
  return async (request) => {
    const givenUp: GivenUp[] = [];
    let last: ModelSpec | null = null;
    for (const model of request.turn.models) {
      const overflowed = givenUp.filter(({ failure }) => failure.kind === "context_overflow");
      if (overflowed.some((other) => other.model.contextWindow >= model.contextWindow)) continue;
      last = model;
      const answer = await tryModel(deps, request, model);
      if (answer.kind === "message") return answer;
      if (answer.kind === "stopped") return { kind: "stopped", model: nameOf(model) };
      givenUp.push(answer.givenUp);
    }
    return {
      kind: "failed",
      error: { kind: givenUp[0]?.failure.kind ?? "model_unavailable", message: explain(givenUp) },
      model: last === null ? null : nameOf(last),
    };
  };
}

const nameOf = (model: ModelSpec) => ({ provider: model.provider, model: model.id });

async function tryModel(
  deps: AskModelDeps,
  request: ModelCallRequest,
  model: ModelSpec,
): Promise<Exclude<StreamResult, { kind: "failure" }> | { kind: "given_up"; givenUp: GivenUp }> {
  const { retry, random, clock, logger } = deps;
  const { signal, text, turn } = request;
  for (let tries = 1; ; tries++) {
    text.retry();
    const result = await tracedCall(deps, request, model);
    if (result.kind !== "failure") return result;
    const { failure } = result;
    const waitMs = Math.max(
      backoffMs(random, tries - 1, retry.baseMs, retry.capMs),
      failure.retryAfterMs ?? 0,
    );
    const again = failure.retryable && tries <= retry.maxRetries && waitMs <= retry.capMs;
    logger.warn("model.call_failed", {
      tenant: turn.tenant,
      session: turn.sessionKey,
      run: turn.runId,
      provider: model.provider,
      model: model.id,
      kind: failure.kind,
      tries,
      again,
    });
    if (!again) return { kind: "given_up", givenUp: { model, failure, tries } };
    await clock.sleep(waitMs, signal);
    if (signal.aborted) return { kind: "stopped" };
  }
}

/** One call, as a span named and described after OpenTelemetry's conventions for generative AI. */
async function tracedCall(
  deps: AskModelDeps,
  request: ModelCallRequest,
  model: ModelSpec,
): Promise<StreamResult> {
  const span = deps.tracing.start({
    name: `chat ${model.id}`,
    kind: "client",
    parent: request.turn.traceparent,
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": model.provider,
      "gen_ai.request.model": model.id,
      "openclaw.run": request.turn.runId,
    },
  });
  try {
    const result = await askOnce(deps, request, model);
    span.end(result.kind === "failure" ? result.failure.kind : undefined);
    return result;
  } catch (error) {
    span.end("internal");
    throw error;
  }
}

async function askOnce(
  { llm, watch, circuitOf }: AskModelDeps,
  { turn, messages, io, text, signal }: ModelCallRequest,
  spec: ModelSpec,
): Promise<StreamResult> {
  let credential: string | null | typeof ABORTED;
  try {
    credential = await orAborted(io.credential(spec.provider), signal);
    if (credential === ABORTED) return { kind: "stopped" };
  } catch (error) {
    if (!isHAError(error, "STORE_UNAVAILABLE")) throw error;
    return { kind: "failure", failure: unavailable(`the key of ${spec.provider} cannot be read now`) };
  }
  const given = await orAborted(io.withMedia(messages, spec.input.includes("image")), signal);
  if (given === ABORTED) return { kind: "stopped" };
  const conversation = cacheKeyOf(turn);
  const result = await circuitOf(spec).run((onFirst) =>
    streamAnswer(llm, watch, {
      model: modelOf(spec),
      context: contextOf(turn, given),
      options: {
        apiKey: credential ?? NO_KEY,
        sessionId: conversation,
        promptCacheKey: conversation,
        reasoning: thinkingOf(turn, spec),
        ...samplingOf(turn),
      },
      text,
      signal,
      onFirst,
    }),
  );
  if (result.kind === "open") {
    const failure = unavailable("its last calls all failed, so it is not asked again for a while");
    return { kind: "failure", failure: { ...failure, retryable: false } };
  }
  if (result.kind !== "failure") return result;
  const secrets = [credential, ...Object.values(spec.headers ?? {})];
  return { kind: "failure", failure: { ...result.failure, message: scrub(result.failure.message, secrets) } };
}

const ABORTED = Symbol("aborted");

/** The promise's value, or ABORTED as soon as the signal aborts: a slow store must not hold an abort up. */
function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value | typeof ABORTED> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(ABORTED);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

const NEXT_STEP: Record<ModelFailure["kind"], string> = {
  model_auth: "check the provider's key",
  model_quota: "check the provider's plan and billing",
  model_rejected: "check the model's name and settings in openclaw.json",
  context_overflow: "start a new session, or reset this one",
  model_unavailable: "try again later, or name a fallback model",
};

/** One sentence a model, then what to do. */
function explain(givenUp: readonly GivenUp[]): string {
  const reasons = givenUp.map(({ model, failure, tries }) => {
    const often = tries > 1 ? ` (tried ${tries} times)` : "";
    return `model ${model.provider}/${model.id} failed${often}: ${failure.message}`;
  });
  const first = givenUp[0]?.failure.kind ?? "model_unavailable";
  return `${reasons.join("; ")}. Next: ${NEXT_STEP[first]}`;
}
