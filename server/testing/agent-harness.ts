import { DEFAULT_COMPACTION, NO_HISTORY } from "../core/compaction.ts";
import type { ModelSpec } from "../core/catalog.ts";
import { agentId, runId, sessionKey, tenantId } from "../core/ids.ts";
import type { RunEventBody } from "../core/run-event.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import type { AgentIO, AgentTurn } from "../ports/agent-runtime.ts";
import type { Step } from "../ports/run-ledger.ts";

/** What a runtime did to the world, in the order in which it did it. */
export type WorldEntry =
  | { readonly event: RunEventBody }
  | { readonly steps: readonly Step[]; readonly messages: readonly TranscriptMessage[] };

/** Stands in for the worker: applies events as a follower does and keeps checkpoints as the ledger does. */
export interface RecordingIO extends AgentIO {
  readonly log: readonly WorldEntry[];
  readonly events: () => RunEventBody[];
  readonly steps: () => Step[];
  readonly messages: () => TranscriptMessage[];
  /** The text that a follower of the events holds. */
  readonly held: () => string;
  /** Resolves once an event of this type has come. */
  readonly seen: (type: RunEventBody["type"]) => Promise<void>;
}

/**
 * @param onCheckpoint called with the checkpoint's number from 1 before it counts as stored; a throw refuses it
 * @param heldBefore text that followers hold from an earlier attempt
 */
export function recordingIO(
  options: {
    readonly onCheckpoint?: (checkpointNo: number) => void | Promise<void>;
    readonly credential?: (provider: string) => Promise<string | null>;
    readonly heldBefore?: string;
    /** What users have sent when the model is about to be called, by the number of the checkpoint. */
    readonly steered?: (checkpointNo: number) => readonly string[];
  } = {},
): RecordingIO {
  const log: WorldEntry[] = [];
  const waiters: { readonly type: string; readonly resolve: () => void }[] = [];
  let checkpoints = 0;
  let held = options.heldBefore ?? "";
  const events = () => log.flatMap((entry) => ("event" in entry ? [entry.event] : []));
  return {
    log,
    events,
    steps: () => log.flatMap((entry) => ("steps" in entry ? entry.steps : [])),
    messages: () => log.flatMap((entry) => ("messages" in entry ? entry.messages : [])),
    held: () => held,
    async seen(type) {
      if (events().some((event) => event.type === type)) return;
      await new Promise<void>((resolve) => void waiters.push({ type, resolve }));
    },
    emit(event) {
      log.push({ event });
      if (event.type === "delta") held += event.text;
      if (event.type === "replace" || event.type === "started") held = event.text;
      for (const waiter of waiters) if (waiter.type === event.type) waiter.resolve();
    },
    async checkpoint(steps, messages, { steer } = { steer: false }) {
      const no = ++checkpoints;
      await options.onCheckpoint?.(no);
      const texts = steer ? (options.steered?.(no) ?? []) : [];
      const steered = texts.map((text): TranscriptMessage => ({ role: "user", content: text, timestamp: 1 }));
      if (steps.length + messages.length + steered.length > 0) {
        log.push({ steps, messages: [...messages, ...steered] });
      }
      return steered;
    },
    withMedia: (messages) => Promise.resolve(messages),
    credential: options.credential ?? (() => Promise.resolve(null)),
  };
}

/** A first attempt at answering one user message; every field may be given. */
export const turnOf = (
  userText: string,
  fields: Partial<AgentTurn> & Pick<AgentTurn, "models">,
): AgentTurn => ({
  tenant: tenantId("acme"),
  sessionKey: sessionKey("agent:main:main"),
  runId: runId("run-1"),
  attempt: 1,
  agent: {
    id: agentId("main"),
    name: "main",
    model: "demo/demo",
    fallbacks: [],
    systemPrompt: "You are a test.",
    workspace: null,
    thinkingLevel: null,
    subagentsAllowed: [],
  },
  thinking: null,
  messages: [{ role: "user", content: userText, timestamp: 1 }],
  ownFrom: (fields.messages?.findLastIndex(({ role }) => role === "user") ?? 0) + 1,
  history: NO_HISTORY,
  userRow: { seq: 1, messageId: "user-1" },
  compaction: { ...DEFAULT_COMPACTION, model: null },
  stepsDone: 0,
  startedTools: [],
  tools: [],
  ...fields,
});

/** The next attempt after a crash, from what the first one had made durable. */
export function resumed(turn: AgentTurn, io: RecordingIO): AgentTurn {
  const steps = io.steps();
  const ended = new Set(steps.flatMap((step) => (step.kind === "tool_result" ? [step.toolCallId] : [])));
  return {
    ...turn,
    attempt: turn.attempt + 1,
    messages: [...turn.messages, ...io.messages()],
    stepsDone: turn.stepsDone + steps.length,
    startedTools: steps.flatMap((step) =>
      step.kind === "tool_started" && !ended.has(step.toolCallId) ? [step] : [],
    ),
  };
}

/** A model that speaks OpenAI chat completions at this address. */
export const testModel = (baseUrl: string, fields: Partial<ModelSpec> = {}): ModelSpec => ({
  id: "demo",
  name: "demo",
  provider: "demo",
  api: "openai-completions",
  baseUrl,
  contextWindow: 128_000,
  maxTokens: 4_096,
  reasoning: false,
  input: ["text"],
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  ...fields,
});
