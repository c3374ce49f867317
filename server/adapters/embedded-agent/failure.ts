import type { AssistantMessage } from "@openclaw/ai";

/** What went wrong in one model call, and what may be done about it. */
export interface ModelFailure {
  /** As in RunError, when the run ends by it. */
  readonly kind: "model_auth" | "model_quota" | "model_rejected" | "context_overflow" | "model_unavailable";
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** It speaks of the provider's health, not of this tenant's key, limits or request. Only such open the circuit. */
  readonly unhealthy: boolean;
  /** The provider's own words, whole; for `scrub` before anybody sees them. */
  readonly message: string;
  /** What the provider asked us to wait. */
  readonly retryAfterMs: number | null;
}

const MESSAGE_MAX = 300;

/** Words by which providers say that the context does not fit; their codes differ or are missing. */
const OVERFLOW =
  /context[ _](length|window|size|limit)|maximum context|(prompt|input|request) (is )?too (long|large)|too many (input )?tokens|exceeds? .{0,40}tokens/i;

/**
 * Reads a failed answer of @openclaw/ai. The library puts the HTTP status in front of its message and `Retry-After`
 * behind it; without a status nothing was answered, or the stream was cut.
 */
export function failureOf(message: AssistantMessage): ModelFailure {
  const text = message.errorMessage ?? "the provider gave no reason";
  return classify(statusOf(message), message.errorCode ?? message.errorType ?? "", text);
}

export function classify(status: number | null, code: string, text: string): ModelFailure {
  const failure = (kind: ModelFailure["kind"], retryable: boolean, unhealthy: boolean): ModelFailure => ({
    kind,
    retryable,
    unhealthy,
    message: text,
    retryAfterMs: retryAfterOf(text),
  });
  const refused = status !== null && status >= 400 && status < 500;
  if ((refused || status === null) && (OVERFLOW.test(code) || (refused && OVERFLOW.test(text)))) {
    return failure("context_overflow", false, false);
  }
  if (status === null || status >= 500) return failure("model_unavailable", true, true);
  if (status === 401 || status === 403) return failure("model_auth", false, false);
  if (status === 402 || code === "insufficient_quota") return failure("model_quota", false, false);
  // Limits are this key's, not the provider's health: one tenant's 429 must not open the circuit for the others.
  if (status === 408 || status === 409 || status === 425 || status === 429) {
    return failure("model_unavailable", true, false);
  }
  return failure("model_rejected", false, false);
}

/** A failure that no answer of the provider describes: silence, a cut stream, a key that cannot be read. */
export const unavailable = (what: string): ModelFailure => ({
  kind: "model_unavailable",
  retryable: true,
  unhealthy: true,
  message: what,
  retryAfterMs: null,
});

function statusOf({ errorMessage = "", errorCode = "" }: AssistantMessage): number | null {
  const digits = /^\s*([45]\d\d)\b/.exec(errorMessage) ?? /^([45]\d\d)$/.exec(errorCode);
  return digits === null ? null : Number(digits[1]);
}

function retryAfterOf(text: string): number | null {
  const seconds = /; Retry-After: (\d+(?:\.\d+)?) seconds$/.exec(text);
  return seconds === null ? null : Number(seconds[1]) * 1_000;
}

/** The library refused to send the request: an unknown wire family, a setting it cannot read. */
export const refusedHere = (error: unknown): ModelFailure =>
  classify(400, "", error instanceof Error ? error.message : String(error));

/**
 * The text without any of the secrets, whatever a provider or an SDK wove into it, and shortened: in this order, since
 * a secret that is cut would not be found.
 */
export function scrub(text: string, secrets: readonly (string | null)[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret !== null && secret.length >= SECRET_MIN) clean = clean.replaceAll(secret, "[redacted]");
  }
  return clean.slice(0, MESSAGE_MAX);
}

/** Shorter strings are no secrets, and replacing them would garble the message. */
const SECRET_MIN = 6;
