/** Error codes on OpenClaw's wire (protocol 4, frame `res`, field `error.code`). */
export type WireCode = "INVALID_REQUEST" | "FORBIDDEN" | "NOT_PAIRED" | "UNAVAILABLE";

interface ErrorTraits {
  readonly wireCode: WireCode;
  /** True: the same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** Exit code of a command that ends with this error, after sysexits(3) and the CLI's contract. */
  readonly exitCode: 1 | 2 | 69 | 70 | 75 | 78;
}

/** Every way openclaw-ha can fail, one line each. */
export const ERROR_CATALOG = {
  /** The caller's input cannot be accepted as it is. */
  REQUEST_INVALID: { wireCode: "INVALID_REQUEST", retryable: false, exitCode: 2 },
  /** The idempotency key names a run of another text or another session. */
  REQUEST_CONFLICT: { wireCode: "INVALID_REQUEST", retryable: false, exitCode: 1 },
  NOT_FOUND: { wireCode: "INVALID_REQUEST", retryable: false, exitCode: 1 },
  UNAUTHORIZED: { wireCode: "INVALID_REQUEST", retryable: false, exitCode: 78 },
  FORBIDDEN: { wireCode: "FORBIDDEN", retryable: false, exitCode: 78 },
  CONFIG_INVALID: { wireCode: "INVALID_REQUEST", retryable: false, exitCode: 78 },
  /** A limit was reached; nothing was accepted, and a later retry may be. */
  OVERLOADED: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 75 },
  /** Somebody else is changing the same thing at this moment; nothing was done. */
  BUSY: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 75 },
  /** The process is draining; another one serves the same request. */
  DRAINING: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 75 },
  /** A newer holder has the session: the caller must stop writing at once. */
  LEASE_LOST: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 75 },
  /** Postgres, Redis, NATS or object storage did not answer; nothing may be assumed to be written. */
  STORE_UNAVAILABLE: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 69 },
  /** The database was migrated by a newer release than this one. */
  SCHEMA_NEWER: { wireCode: "UNAVAILABLE", retryable: false, exitCode: 78 },
  /** A program or package that is needed is not installed. */
  MISSING_DEPENDENCY: { wireCode: "UNAVAILABLE", retryable: false, exitCode: 69 },
  /** The model provider failed; `details.kind` says how. */
  MODEL_FAILED: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 1 },
  /** The deployment was never started, or is stopped. */
  NOT_RUNNING: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 69 },
  TIMEOUT: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 75 },
  /** A state machine was asked for a move that it does not have: a bug of ours. */
  TRANSITION_INVALID: { wireCode: "INVALID_REQUEST", retryable: false, exitCode: 70 },
  INTERNAL: { wireCode: "UNAVAILABLE", retryable: true, exitCode: 70 },
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof ERROR_CATALOG;

/** Facts to search for: ids, limits, names. Never a secret, a message text or a token. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * The one error type. The message names the thing, what happened to it and, where there is one, the next step.
 * The CLI reads the exit code, the gateway the wire code, the worker `retryable`.
 */
export class HAError extends Error {
  override readonly name = "HAError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return ERROR_CATALOG[this.code].retryable;
  }
}

/** True for an HAError of that code. */
export const isHAError = (error: unknown, code?: ErrorCode): error is HAError =>
  error instanceof HAError && (code === undefined || error.code === code);

/** The error, with a next step where it is of that code and has none yet. */
export function withHint(error: HAError, code: ErrorCode, hint: string): HAError {
  if (error.code !== code || error.details["hint"] !== undefined) return error;
  return new HAError(code, error.message, { ...error.details, hint }, { cause: error.cause });
}

/** Any thrown value as an HAError; what is not one becomes INTERNAL with its cause kept. */
export function asHAError(error: unknown): HAError {
  if (error instanceof HAError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HAError("INTERNAL", message, {}, { cause: error });
}
