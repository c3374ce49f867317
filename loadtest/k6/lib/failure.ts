/**
 * Whose doing a failure is: `client` asked for what cannot be given, `overload` is a refusal that left nothing behind
 * and says to come again, `unplanned` is everything else and what the availability promise counts.
 */
export type FailureKind = "client" | "overload" | "unplanned";

export interface Failure {
  readonly kind: FailureKind;
  /** A short fixed name, to count by. */
  readonly reason: string;
}

/** `error` of a `res` frame, protocol 4. */
export interface WireError {
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

export const unplanned = (reason: string): Failure => ({ kind: "unplanned", reason });

/** Codes by which a gateway says that the request itself was wrong. */
const CLIENT_CODES = ["INVALID_REQUEST", "FORBIDDEN", "NOT_PAIRED", "NOT_LINKED"];

/** Retryable refusals that are no sign of load: the service lacked something that it needs. */
const OUTAGES = ["store-unavailable", "internal"];

export function failureOf({ code, retryable, details }: WireError): Failure {
  const reason = typeof details?.["reason"] === "string" ? details["reason"] : (code ?? "no-code");
  if (code !== undefined && CLIENT_CODES.indexOf(code) >= 0) return { kind: "client", reason };
  if (code === "UNAVAILABLE" && retryable === true && OUTAGES.indexOf(reason) < 0) {
    return { kind: "overload", reason: reason === "UNAVAILABLE" ? "busy" : reason };
  }
  return unplanned(reason);
}

/** What an HTTP probe's status means: a gateway that is not ready sends its callers elsewhere, as it should. */
export function failureOfStatus(status: number): Failure | null {
  if (status >= 200 && status < 300) return null;
  if (status === 429 || status === 503) return { kind: "overload", reason: `http-${status}` };
  if (status >= 400 && status < 500) return { kind: "client", reason: `http-${status}` };
  return unplanned(status === 0 ? "http-no-answer" : `http-${status}`);
}
