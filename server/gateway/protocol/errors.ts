import { asHAError, ERROR_CATALOG, HAError, type WireCode } from "../../core/errors.ts";

/** The `error` of a `res` frame. */
export interface ErrorShape {
  readonly code: WireCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retryable?: true;
  readonly retryAfterMs?: number;
}

/** Characters of a text in an error: it may repeat what the client sent, whose beginning is enough to know it by. */
const TEXT_MAX = 1_000;
/** Delay that clients are told when a store is away and nothing better is known. */
const STORE_RETRY_MS = 1_000;

/**
 * What a client is told of an error. `details.retryAfterMs` moves to the frame's own field; what concerns our stores
 * or our own faults is told without names of hosts, tables or code, and belongs into the log.
 */
export function errorShape(thrown: unknown): ErrorShape {
  const error = asHAError(thrown);
  const { wireCode, retryable } = ERROR_CATALOG[error.code];
  if (error.code === "STORE_UNAVAILABLE") {
    return {
      code: wireCode,
      message: "A store of this gateway does not answer. Nothing was done; please try again in a moment.",
      retryable: true,
      retryAfterMs: STORE_RETRY_MS,
      details: { reason: "store-unavailable" },
    };
  }
  if (error.code === "INTERNAL" || error.code === "TRANSITION_INVALID") {
    return { code: "UNAVAILABLE", message: "internal error", details: { reason: "internal" } };
  }
  const { retryAfterMs, httpStatus: _, ...details } = error.details; // the status concerns HTTP alone
  return {
    code: wireCode,
    message: shortened(error.message),
    ...(retryable ? { retryable: true as const } : {}),
    ...(typeof retryAfterMs === "number" ? { retryAfterMs } : {}),
    ...(Object.keys(details).length > 0 ? { details: shortDetails(details) } : {}),
  };
}

const shortened = (text: string): string => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);

const shortDetails = (details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      typeof value === "string" ? shortened(value) : value,
    ]),
  );

/** OpenClaw's answer to a socket with too many requests waiting; no delay, as there. */
export const SOCKET_BUSY: ErrorShape = {
  code: "UNAVAILABLE",
  message: "The server is busy. Please try again in a moment.",
  retryable: true,
};

/** OpenClaw's refusal of new work while a gateway drains; its clients retry by `details.reason`. */
export const drainingShape = (method: string): ErrorShape => ({
  code: "UNAVAILABLE",
  message: `${method} unavailable during gateway restart`,
  retryable: true,
  retryAfterMs: 1_000,
  details: { method, reason: "gateway-restarting", phase: "accepting" },
});

/** Same key, another text or another session (promise 3). */
export const requestConflict = (): HAError =>
  new HAError(
    "REQUEST_CONFLICT",
    "This message ID was already used for different input. " +
      "Check the conversation history and use a new message ID to send again.",
    { reason: "chat-request-conflict" },
  );

export const unknownAgent = (agent: string): HAError =>
  new HAError("REQUEST_INVALID", `Agent ${JSON.stringify(agent)} no longer exists in configuration`);

/** What a client is told that cannot be answered because its gateway ends. */
export const restarting = (): HAError =>
  new HAError("DRAINING", "this gateway is restarting; send the request again", {
    reason: "gateway-restarting",
    retryAfterMs: 1_000,
  });
