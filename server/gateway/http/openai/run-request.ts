import { z } from "zod";
import { HAError } from "../../../core/errors.ts";
import type { Sampling } from "../../../core/run.ts";
import type { Attachment } from "../../accept-run.ts";
import { readParams } from "../../protocol/params.ts";
import type { AnswerForm } from "./answer-form.ts";

/** What a body asks for, whichever of the two interfaces it came by. */
export interface RunRequest {
  readonly model: string;
  readonly user: string | undefined;
  readonly stream: boolean;
  readonly message: string;
  readonly attachments: readonly Attachment[];
  /** Instructions of the request: its system and developer messages. */
  readonly instructions: string;
  readonly sampling: Sampling | undefined;
  /** A response of before, whose session this one goes on in. */
  readonly previousId?: string;
  readonly form: AnswerForm;
}

/** Bytes of instructions: they lie beside the run, not in object storage. */
const INSTRUCTIONS_MAX = 256 * 1024;

const invalid = (message: string): HAError => new HAError("REQUEST_INVALID", message);

/** @throws HAError REQUEST_INVALID naming the first field that does not fit */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const read = readParams(schema, body);
  if (read.ok) return read.value;
  throw invalid(read.why);
}

/** @throws HAError REQUEST_INVALID for more than a run can carry */
export function joinInstructions(parts: readonly (string | null | undefined)[]): string {
  const text = parts.filter((part) => part?.trim()).join("\n\n");
  const bytes = Buffer.byteLength(text);
  if (bytes <= INSTRUCTIONS_MAX) return text;
  throw new HAError(
    "REQUEST_INVALID",
    `system messages too long: ${bytes} bytes, at most ${INSTRUCTIONS_MAX}; put long material into a user message`,
    { httpStatus: 413 },
  );
}

const number = (min: number, max: number) => z.number().min(min).max(max).nullish();
const tokens = z.int().min(1).nullish();

/** Settings that both interfaces know. */
export const samplingFields = {
  temperature: number(0, 2),
  top_p: number(0, 1),
} as const;
export const chatSamplingFields = {
  ...samplingFields,
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  seed: z.int().nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(4)]).nullish(),
  response_format: z.looseObject({ type: z.enum(["text", "json_object", "json_schema"]) }).nullish(),
} as const;
export const maxTokens = tokens;

/** Nothing where nothing was asked for. */
export function samplingOf(said: {
  readonly [K in keyof Sampling]: Sampling[K] | null | undefined;
}): Sampling | undefined {
  const known = Object.entries(said).filter(([, value]) => value !== undefined && value !== null);
  return known.length === 0 ? undefined : (Object.fromEntries(known) as Sampling);
}

/**
 * Tools that the client would execute itself are not offered by agents of a pool, whose tools are their own; leaving
 * them out unsaid would have the client wait for calls that never come.
 * @throws HAError REQUEST_INVALID
 */
export function refuseClientTools(tools: readonly unknown[] | null | undefined, choice: unknown): void {
  if (tools === undefined || tools === null || tools.length === 0 || choice === "none") return;
  throw new HAError(
    "REQUEST_INVALID",
    "`tools` of a client are not supported: the agent has its own. Leave `tools` out.",
    { reason: "client-tools" },
  );
}
