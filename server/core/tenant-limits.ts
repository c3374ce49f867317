import { HAError, isHAError } from "./errors.ts";

/** What a tenant can be limited in; the names are those of openclaw-ha.yaml and of the database. */
export const LIMIT_NAMES = [
  "requestsPerMinute",
  "tokensPerMinute",
  "concurrentRuns",
  "queuedRuns",
  "sessions",
  "storageBytes",
] as const;

export type LimitName = (typeof LIMIT_NAMES)[number];

/**
 * What holds for a tenant; an absent name is no limit.
 *
 * - `requestsPerMinute`: messages and HTTP requests that ask for a run, as a token bucket of one minute;
 * - `tokensPerMinute`: input and output tokens of its models, charged when a run ends;
 * - `concurrentRuns`: sessions that have something to do at the same time, a run each;
 * - `queuedRuns`: accepted runs that have not begun;
 * - `sessions`: sessions that exist;
 * - `storageBytes`: objects and rows of transcripts, as they were measured last.
 */
export type TenantLimits = { readonly [Name in LimitName]?: number };

/** What is said of a tenant: a number, null for no limit whatever the default is, or nothing, where the default holds. */
export type LimitSettings = { readonly [Name in LimitName]?: number | null };

/** Limits that the ledger counts when it accepts, and why it refuses then. */
export type LimitReason =
  "tenant-concurrent-runs" | "tenant-queued-runs" | "tenant-sessions" | "tenant-storage";

/** What the defaults and what is said of a tenant come to. */
export function effectiveLimits(defaults: LimitSettings, own: LimitSettings): TenantLimits {
  const both = { ...defaults, ...own };
  return Object.fromEntries(Object.entries(both).filter(([, value]) => value !== null)) as TenantLimits;
}

/** Names and numbers alone, for values that come from outside of the program: what is not a limit is left out. */
export function limitSettings(value: unknown): LimitSettings {
  const known = Object.entries((value ?? {}) as Record<string, unknown>).filter(
    ([name, limit]) =>
      (LIMIT_NAMES as readonly string[]).includes(name) && (limit === null || typeof limit === "number"),
  );
  return Object.fromEntries(known) as LimitSettings;
}

/** What a client is told of a limit: the message, and when it may try again, in milliseconds. */
const REACHED: Readonly<
  Record<LimitReason | "tenant-requests" | "tenant-tokens", readonly [string, number]>
> = {
  "tenant-requests": ["too many requests of this tenant in a minute", 1_000],
  "tenant-tokens": ["this tenant has used up its tokens of the minute", 1_000],
  "tenant-concurrent-runs": ["too many sessions of this tenant are busy", 1_000],
  "tenant-queued-runs": ["too many runs of this tenant wait already", 1_000],
  "tenant-sessions": ["this tenant has as many sessions as it may; delete some", 60_000],
  "tenant-storage": ["this tenant keeps as much as it may; delete sessions", 60_000],
};

/** The error for a limit that was reached; nothing was accepted. */
export function limitReached(reason: keyof typeof REACHED, retryAfterMs?: number): HAError {
  const [message, usual] = REACHED[reason];
  return new HAError("OVERLOADED", message, { reason, retryAfterMs: retryAfterMs ?? usual });
}

export const isLimitReason = (reason: string): reason is LimitReason =>
  reason in REACHED && reason !== "tenant-requests" && reason !== "tenant-tokens";

/** The limit that an error tells of; null for other errors. */
export function limitReason(error: unknown): string | null {
  if (!isHAError(error, "OVERLOADED")) return null;
  const { reason } = error.details;
  return typeof reason === "string" && reason in REACHED ? reason : null;
}
