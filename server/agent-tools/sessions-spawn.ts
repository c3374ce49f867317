import { createHash } from "node:crypto";
import { z } from "zod";
import type { BodyStore } from "../bodies/body-store.ts";
import { storeInput } from "../bodies/store-input.ts";
import { type AgentCatalog, type AgentSpec, findAgent, findModel } from "../core/catalog.ts";
import { HAError, isHAError } from "../core/errors.ts";
import { laneOfSession } from "../core/lane.ts";
import type { RunOptions } from "../core/run.ts";
import { type Subagent, subagentId, subagentSessionKey } from "../core/subagent.ts";
import type { AgentTool } from "../ports/agent-runtime.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import type { Grant } from "../ports/run-ledger.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import type { SpawnAnswer, SpawnRequest, SubagentStore } from "../ports/subagent-store.ts";
import type { ToolMaker } from "./tool-context.ts";

export interface SessionsSpawnDeps {
  readonly subagents: Pick<SubagentStore, "spawn">;
  readonly bodies: Pick<BodyStore, "store">;
  readonly queue: Pick<RunQueue, "enqueue">;
  readonly bus: Pick<EventBus, "notify">;
  readonly catalog: AgentCatalog;
  readonly clock: Clock;
  readonly random: Random;
}

const TASK_MAX = 100_000;
const LABEL_MAX = 512;

const args = z.object({
  task: z.string().trim().min(1).max(TASK_MAX),
  label: z.string().trim().max(LABEL_MAX).optional(),
  agentId: z.string().optional(),
  model: z.string().optional(),
  thinking: z.string().optional(),
  runTimeoutSeconds: z.int().min(0).optional(),
  cleanup: z.enum(["keep", "delete"]).optional(),
});
type Args = z.infer<typeof args>;

const text = (description: string): unknown => ({ type: "string", description });

const PARAMETERS = {
  type: "object",
  properties: {
    task: text("What the subagent is to do: objective, inputs and the result that is wanted."),
    label: text("Short title of the task, shown in lists."),
    agentId: text("Another configured agent; default: the same one."),
    model: text("`provider/model` in place of the agent's own."),
    thinking: text("Thinking level of the run."),
    runTimeoutSeconds: { type: "integer", minimum: 0, description: "Limit of the run; 0: none." },
    cleanup: {
      type: "string",
      enum: ["keep", "delete"],
      description: "What becomes of the subagent's session once its result was announced; default keep.",
    },
  },
  required: ["task"],
} as const;

/**
 * `sessions_spawn`: starts a run in a session of its own, whose end is announced to this session. The child's id is made
 * from the run and the tool call, so executing a call twice makes one child.
 */
export const sessionsSpawn =
  (deps: SessionsSpawnDeps): ToolMaker =>
  ({ grant, agent }): AgentTool => ({
    name: "sessions_spawn",
    description:
      "Starts a subagent: a background run with a session of its own that works on one task. It answers at once; the " +
      "result comes later as an internal message of this session. Do not wait for it and do not ask for it: go on with " +
      "what does not depend on it, and answer when the results of all subagents that you need are there. Not for what you " +
      "can do in a step or two yourself.",
    parameters: PARAMETERS,
    idempotent: true,
    execute: async (call, signal) => spawn(deps, grant, agent, call.id, args.parse(call.args), signal),
  });

async function spawn(
  deps: SessionsSpawnDeps,
  grant: Grant,
  agent: AgentSpec,
  callId: string,
  wish: Args,
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly isError?: boolean }> {
  const { catalog } = deps;
  const target = targetOf(catalog, agent, wish.agentId);
  if (typeof target === "string") return refusal("forbidden", target);
  if (wish.model !== undefined && !findModel(catalog, wish.model)) {
    return refusal("error", `unknown model ${JSON.stringify(wish.model)}`);
  }
  const id = subagentId(grant.tenant, grant.runId, callId);
  const child: Subagent = {
    tenant: grant.tenant,
    runId: id,
    sessionKey: subagentSessionKey(target.id, id),
    requesterRunId: grant.runId,
    requesterKey: grant.sessionKey,
    task: wish.task,
    label: wish.label === undefined || wish.label === "" ? null : wish.label,
    cleanup: wish.cleanup ?? "keep",
  };
  const { maxSpawnDepth, maxChildren } = catalog.subagents;
  const answer = await untilAnswered(deps, signal, {
    grant,
    child,
    accept: await storeInput(deps.bodies, {
      tenant: child.tenant,
      runId: id,
      sessionKey: child.sessionKey,
      agentId: target.id,
      lane: laneOfSession(child.sessionKey),
      requestHash: createHash("sha256").update(id).digest("hex"),
      input: {
        body: { inline: { role: "user", content: taskMessage(child), timestamp: deps.clock.now() } },
        options: optionsOf(wish),
      },
      newSessionId: deps.random.uuid(),
    }),
    maxDepth: maxSpawnDepth,
    maxOpen: maxChildren,
  });
  switch (answer.kind) {
    case "spawned": {
      if (answer.answer.kind === "new") {
        // Best effort both: the sweep wakes a session that nobody enqueued, and lists are read again.
        if (answer.answer.ready) await deps.queue.enqueue([answer.answer.ready]).catch(() => undefined);
        await deps.bus
          .notify(child.tenant, { type: "session", reason: "create", sessionKey: child.sessionKey })
          .catch(() => undefined);
      }
      const accepted = { status: "accepted", childSessionKey: child.sessionKey, runId: id };
      return { text: JSON.stringify({ ...accepted, note: ACCEPTED_NOTE }) };
    }
    case "too-deep":
      return refusal(
        "forbidden",
        `sessions_spawn is not allowed at this depth (current depth: ${answer.depth - 1}, max: ${maxSpawnDepth}; ` +
          "agents.defaults.subagents.maxSpawnDepth)",
      );
    case "too-many":
      return refusal(
        "forbidden",
        `this session has ${maxChildren} open subagents already (agents.defaults.subagents.maxChildrenPerAgent); ` +
          "wait for one of them to end",
      );
    case "stopped":
      return refusal("error", "the run was stopped: it starts no subagents any more");
    case "refused":
      return refusal("error", `the subagent was not accepted: ${answer.reason}`);
    case "fenced":
      throw new HAError("LEASE_LOST", `run ${grant.runId} has a newer holder`, { runId: grant.runId });
    default:
      return answer satisfies never;
  }
}

/**
 * Sends the same request until the store has answered: of an unknown outcome the model would make a second call, and so a
 * second child.
 */
async function untilAnswered(
  { subagents, clock, random }: SessionsSpawnDeps,
  signal: AbortSignal,
  request: SpawnRequest,
): Promise<SpawnAnswer> {
  for (let tries = 0; ; tries++) {
    try {
      return await subagents.spawn(request);
    } catch (error) {
      if (!isHAError(error, "STORE_UNAVAILABLE") || signal.aborted) throw error;
      await clock.sleep(backoffMs(random, tries, 100, 2_000), signal);
    }
  }
}

const ACCEPTED_NOTE =
  "The result will be announced to this session. Go on with independent work; do not poll for it.";

const refusal = (
  status: "error" | "forbidden",
  error: string,
): { readonly text: string; readonly isError: true } => ({
  text: JSON.stringify({ status, error }),
  isError: true,
});

/** The agent that is to work on it, or why not. An agent may name others that it calls (`subagents.allowAgents`). */
function targetOf(catalog: AgentCatalog, agent: AgentSpec, wanted: string | undefined): AgentSpec | string {
  const id = wanted?.trim().toLowerCase() ?? "";
  if (id === "" || id === agent.id) return agent;
  const allowed = agent.subagentsAllowed;
  const target = findAgent(catalog, id);
  const known = allowed.includes("*") ? catalog.agents.map((one) => one.id) : allowed;
  const listed = [agent.id, ...known.filter((one) => one !== agent.id)].join(", ");
  if (!allowed.includes("*") && !allowed.includes(id)) {
    return `agentId is not allowed for sessions_spawn (allowed: ${listed})`;
  }
  return target ?? `agentId ${JSON.stringify(id)} is not configured (allowed: ${listed})`;
}

const optionsOf = ({ model, thinking, runTimeoutSeconds }: Args): RunOptions => ({
  ...(model === undefined ? {} : { model }),
  ...(thinking === undefined ? {} : { thinking }),
  ...(runTimeoutSeconds === undefined ? {} : { timeoutMs: runTimeoutSeconds * 1_000 }),
});

/** The child's first message, with the marks by which the genuine gateway's clients know it. */
const taskMessage = ({ requesterKey, label, task }: Subagent): string =>
  [
    "[Subagent Context] You are a subagent: you work on the one task below for another session, alone and in the " +
      "background. Nobody answers questions. Your last message is handed to that session as the result, so put " +
      `everything into it that was asked for, and nothing else. Requester session: ${requesterKey}.` +
      (label === null ? "" : ` Label: ${label}.`),
    "[Subagent Task]",
    task,
    "Begin. Execute the assigned task to completion.",
  ].join("\n\n");
