import type { SessionPatch } from "../../core/session.ts";
import type { SessionKey } from "../../core/ids.ts";
import type { Call } from "../methods/registry.ts";

/** An argument of a slash command, as clients offer it. */
export interface CommandArgument {
  readonly name: string;
  readonly description: string;
  readonly type: "string";
  readonly choices?: readonly string[];
}

/** What a command is given: who asks, in which session, and the words behind its name. */
export interface CommandRequest {
  readonly call: Call;
  readonly sessionKey: SessionKey;
  /** The client's idempotency key: an effect that must happen once names itself by it. */
  readonly idempotencyKey: string;
  readonly args: string;
}

/** What a command answers. */
export interface CommandReply {
  /** Shown as the assistant's answer. */
  readonly text: string;
  /** Changes of the session, made by the statement that records the answer: both or neither. */
  readonly patch?: SessionPatch;
  /** What is left to be answered by the model once the command has done its part: `/new` with a text. */
  readonly message?: string;
  /** The message is a compaction for a worker to make in the session's order, with what its summary is to keep. */
  readonly compact?: { readonly instructions: string };
  /** No row and no event: the acknowledgement is the whole answer. */
  readonly silent?: boolean;
  /** Fields of the acknowledgement beside those of every send. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * A message that is answered without a model. It may be run again for the same request when its gateway dies before
 * the answer is recorded, so that its effects must be such that a repetition does no harm.
 */
export interface SlashCommand {
  /** Without the slash; lower case. */
  readonly name: string;
  /** Other names. */
  readonly aliases?: readonly string[];
  /** Whole messages without a slash that mean the same; lower case. */
  readonly phrases?: readonly string[];
  readonly description: string;
  readonly category: "session" | "options" | "status";
  /** None: the command takes no words, and with some behind it the text is an ordinary message. */
  readonly args?: readonly CommandArgument[];
  run(request: CommandRequest): Promise<CommandReply>;
}
