import { asHAError, type ErrorCode } from "../../../core/errors.ts";
import { errorShape } from "../../protocol/errors.ts";
import type { RunEnd } from "../../run-view.ts";

/** The `error` of an OpenAI answer; the SDKs put it into their exceptions. */
export interface ApiError {
  readonly message: string;
  readonly type: string;
  readonly code?: string;
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: ApiError;
}

type Kind = readonly [status: number, type: string];

const KINDS: Partial<Record<ErrorCode, Kind>> = {
  REQUEST_INVALID: [400, "invalid_request_error"],
  REQUEST_CONFLICT: [409, "invalid_request_error"],
  NOT_FOUND: [404, "invalid_request_error"],
  UNAUTHORIZED: [401, "unauthorized"],
  FORBIDDEN: [403, "forbidden"],
  OVERLOADED: [429, "rate_limit_error"],
  DRAINING: [503, "api_error"],
  STORE_UNAVAILABLE: [503, "api_error"],
};
const INTERNAL: Kind = [500, "api_error"];

/** What an HTTP client is told of an error: as on the socket, with the status that says the same. */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  const { code, details } = asHAError(thrown);
  const [status, type] = KINDS[code] ?? INTERNAL;
  const { message, retryAfterMs, details: told } = errorShape(thrown);
  const httpStatus = details["httpStatus"];
  const reason = told?.["reason"];
  return {
    status: typeof httpStatus === "number" ? httpStatus : status,
    headers: {
      ...(retryAfterMs === undefined ? {} : { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) }),
      // The SDKs send a 409 again by themselves; the same request would be refused again.
      ...(code === "REQUEST_CONFLICT" ? { "x-should-retry": "false" } : {}),
    },
    error: { message, type, ...(typeof reason === "string" ? { code: reason } : {}) },
  };
}

/** How failures of models read to OpenAI's clients; OpenClaw's types and statuses. */
const FAILURES: Readonly<Record<string, Kind>> = {
  model_auth: [401, "authentication_error"],
  model_quota: [402, "insufficient_quota"],
  model_rejected: [400, "invalid_request_error"],
  context_overflow: [400, "invalid_request_error"],
  unknown_model: [400, "invalid_request_error"],
  model_unavailable: [502, "api_error"],
};

/** Null for a run that has an answer. */
export function errorOfEnd({ status, error }: RunEnd): ErrorAnswer | null {
  if (status === "succeeded") return null;
  if (status === "timed_out") {
    return failure([504, "api_error"], error?.message ?? "the run reached its deadline", "run_timeout");
  }
  if (status === "aborted") return failure([499, "api_error"], "the run was aborted", "run_aborted");
  const kind = FAILURES[error?.kind ?? ""] ?? INTERNAL;
  return failure(kind, error?.message ?? "the run failed", error?.kind);
}

function failure([status, type]: Kind, message: string, code: string | undefined): ErrorAnswer {
  return { status, headers: {}, error: { message, type, ...(code === undefined ? {} : { code }) } };
}
