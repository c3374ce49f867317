import type { AgentSpec, ModelSpec } from "../core/catalog.ts";
import type { RunId, SessionKey, TenantId } from "../core/ids.ts";
import type { CompactionPolicy, ContextEntry, ContextHistory } from "../core/compaction.ts";
import type { EndedStatus, RunError, RunResult, Sampling } from "../core/run.ts";
import type { RunEventBody } from "../core/run-event.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import type { StartedTool, Step } from "./run-ledger.ts";

/** A tool that the agent may call. */
export interface AgentTool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** True: running it twice with the same toolCallId does no more than running it once. */
  readonly idempotent: boolean;
  /** May throw; the message becomes the tool's error result. Must end soon after the signal aborts. */
  execute(
    call: { readonly id: string; readonly args: unknown },
    signal: AbortSignal,
  ): Promise<{ readonly text: string; readonly isError?: boolean }>;
}

/** Everything one attempt of a run starts from. */
export interface AgentTurn {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly runId: RunId;
  readonly attempt: number;
  readonly agent: AgentSpec;
  /** The model to use, then the ones to fall back to. At least one. */
  readonly models: readonly ModelSpec[];
  readonly thinking: string | null;
  readonly sampling?: Sampling;
  /** The whole context, oldest first. What to do next is read from its tail alone. */
  readonly messages: readonly TranscriptMessage[];
  /** Where in `messages` the run's own begin, behind the user's message that it answers: what it has said and done, and
   * what was steered in. */
  readonly ownFrom: number;
  /** What stands in `messages` before the user's: what a compaction may summarise. */
  readonly history: ContextHistory;
  /** The row of the user's message: rows from it on are never summarised. */
  readonly userRow: Pick<ContextEntry, "seq" | "messageId">;
  /** When and by whom the context is compacted; without a model, by the models of the turn. */
  readonly compaction: Omit<CompactionPolicy, "model"> & { readonly model: ModelSpec | null };
  /** The run is a compaction by command: nothing is answered. `instructions` say what the summary should look at. */
  readonly compact?: { readonly instructions: string } | undefined;
  /** Steps of the run already recorded, so that new ones are numbered after them. */
  readonly stepsDone: number;
  readonly startedTools: readonly StartedTool[];
  readonly tools: readonly AgentTool[];
  /** Under which model calls are traced. */
  readonly traceparent?: string | undefined;
}

/** What the runtime may do to the world while it runs. */
export interface AgentIO {
  /** Never throws, never waits: events are numbered and sent behind the runtime's back. */
  emit(body: RunEventBody): void;
  /**
   * Makes steps and messages durable before anything that depends on them happens. A tool call is checkpointed as
   * `tool_started` before it is executed and its result before the next model call.
   * `steer` says that this call comes next: what users have sent meanwhile may join the run then, and is answered here.
   * It is durable behind `messages`, and belongs behind them in the context.
   * @throws HAError LEASE_LOST: stop at once, write nothing more
   */
  checkpoint(
    steps: readonly Step[],
    messages: readonly TranscriptMessage[],
    options?: { readonly steer: boolean },
  ): Promise<readonly TranscriptMessage[]>;
  /**
   * The messages as a model is given them, with the attachments that they refer to. Waits for object storage.
   * @throws HAError LEASE_LOST or DRAINING
   */
  withMedia(
    messages: readonly TranscriptMessage[],
    takesImages: boolean,
  ): Promise<readonly TranscriptMessage[]>;
  /** A credential for one provider, for this run only. Null: the provider needs none. */
  credential(provider: string): Promise<string | null>;
}

/** How the attempt ended, with what is not checkpointed yet: it goes with `finish`, in the same commit. */
export interface AgentOutcome {
  readonly status: EndedStatus;
  readonly result: RunResult | null;
  readonly error: RunError | null;
  readonly steps: readonly Step[];
  readonly messages: readonly TranscriptMessage[];
}

/**
 * Runs one attempt of one run from its resume point to its end.
 *
 * - Text goes out as `delta` events; before the first delta of a second assistant message the runtime emits `replace`
 *   with an empty text, so that what followers hold at the end is the text of the last message, the result's text.
 * - After a crash between `tool_started` and its result, an idempotent tool is executed again; for any other the
 *   runtime appends an error result that says the outcome is unknown.
 * - Each model call of a run but its first is preceded by a checkpoint with `steer`, and has in its context what joined.
 * - When the signal aborts, it ends within 100 ms with status `aborted`, or `timed_out` when the reason is a TIMEOUT
 *   HAError, keeping the partial text. When the reason is a LEASE_LOST or DRAINING HAError, it rejects with it.
 * - A context that comes near the model's window, or that the provider calls too long, is compacted first: a summary is
 *   made and its row checkpointed, and the run goes on with summary and newest messages. Killed before that checkpoint
 *   the summary is made again; killed after it the next attempt is given the compacted context.
 * - Failures of the model are outcomes (`failed`), not exceptions.
 */
export interface AgentRuntime {
  run(turn: AgentTurn, io: AgentIO, signal: AbortSignal): Promise<AgentOutcome>;
}
