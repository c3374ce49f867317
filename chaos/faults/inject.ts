import { openRedis } from "../stores/read-redis.ts";
import { type FaultContext, tellFault, waitFor } from "./context.ts";
import type { FaultSpec } from "./fault.ts";
import { networkFault, resetFault } from "./network.ts";
import { pauseFault, rollingRestart, signalFault } from "./processes.ts";
import { clockSkew, cpuStarvation, diskFull, memoryLimit } from "./resources.ts";

/** A circuit that has opened tries again after ten seconds. */
const ASKED_WITHIN_MS = 15_000;

/**
 * Does a fault, gathers the evidence that it happened, and takes it back. Resolves when it is over. What could not be
 * done is in the history as `failed`: the run then proves nothing, and says so.
 */
export async function injectFault(context: FaultContext, id: string, fault: FaultSpec): Promise<void> {
  try {
    await dispatch(context, id, fault);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const subject = "subject" in fault ? fault.subject : "clients";
    context.history.write({ type: "fault", id, kind: fault.kind, subject, phase: "failed", detail });
    context.progress(`${fault.kind} ${subject} could not be done: ${detail}`);
  }
}

async function dispatch(context: FaultContext, id: string, fault: FaultSpec): Promise<void> {
  switch (fault.kind) {
    case "signal":
      await signalFault(context, id, fault);
      break;
    case "pause":
      await pauseFault(context, id, fault);
      break;
    case "flush":
      await flush(context, id);
      break;
    case "latency":
    case "rate":
    case "black-hole":
    case "slow-close":
      await networkFault(context, id, fault);
      break;
    case "reset":
      await resetFault(context, id, fault);
      break;
    case "disk-full":
      await diskFull(context, id, fault);
      break;
    case "clock-skew":
      await clockSkew(context, id, fault);
      break;
    case "cpu-starvation":
      await cpuStarvation(context, id, fault);
      break;
    case "memory-limit":
      await memoryLimit(context, id, fault);
      break;
    case "model":
      await modelFault(context, id, fault);
      break;
    case "rolling-restart":
      await rollingRestart(context, id, fault);
      break;
    case "reconnect-storm":
      await reconnectStorm(context, id, fault);
      break;
  }
}

/** Everything that Redis holds is gone at once. */
async function flush(context: FaultContext, id: string): Promise<void> {
  const redis = openRedis(context.target.stores.redisUrl);
  try {
    const story = tellFault(context, id, "flush", "redis");
    const before = await redis.dbsize();
    await redis.flushall();
    story.injected("FLUSHALL");
    if (before > 0) story.shown(`${before} keys are gone`);
    story.healed("nothing to take back");
  } finally {
    redis.disconnect();
  }
}

/** Messages sent meanwhile carry these directives (traffic/plan.ts); shown by the model's own log. */
async function modelFault(
  context: FaultContext,
  id: string,
  { directives, forMs }: Extract<FaultSpec, { kind: "model" }>,
): Promise<void> {
  const story = tellFault(context, id, "model", "demo-model");
  story.injected(`${directives} for ${forMs} ms`);
  const startedAt = context.clock.monotonic();
  const calls = () => context.modelCalls(directives);
  const met = async (): Promise<boolean> => {
    const [first] = await calls();
    if (first !== undefined)
      story.shown(`the model was asked with it, and answered ${first.status ?? "nothing yet"}`);
    return first !== undefined;
  };
  // Workers that have given the model up for a while ask it later.
  await waitFor(context, met, forMs + ASKED_WITHIN_MS, 100);
  await context.clock.sleep(startedAt + forMs - context.clock.monotonic(), context.signal);
  story.healed(`${(await calls()).length} calls were answered so`);
}

/** Many clients connect at once, again and again. */
async function reconnectStorm(
  context: FaultContext,
  id: string,
  { clients, times }: Extract<FaultSpec, { kind: "reconnect-storm" }>,
): Promise<void> {
  const story = tellFault(context, id, "reconnect-storm", "clients");
  story.injected(`${clients} clients, ${times} times`);
  const admitted = await context.storm(clients, times);
  if (admitted > 0) story.shown(`${admitted} connections were let in, and dropped`);
  story.healed("over");
}
