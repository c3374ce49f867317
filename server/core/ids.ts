import { HAError } from "./errors.ts";

declare const kind: unique symbol;
/** A string of one kind of id. Brands vanish at run time; they only keep ids from being mixed up. */
type Id<Kind extends string> = string & { readonly [kind]: Kind };

/** Owner of sessions, runs, tokens and objects; nothing crosses from one tenant to another. */
export type TenantId = Id<"TenantId">;
/** Canonical OpenClaw session key, for example `agent:main:main`; lower case, never empty. */
export type SessionKey = Id<"SessionKey">;
/** Names one run within a tenant. It is the client's idempotency key (OpenClaw protocol 4, chat.send). */
export type RunId = Id<"RunId">;
/** An agent of the catalog (`agents` in openclaw.json). */
export type AgentId = Id<"AgentId">;
/** One life of a worker process: `<instance>.<random>`; a restarted worker has a new one. */
export type WorkerId = Id<"WorkerId">;

/** Ids end up in Redis keys, object keys and log lines: bounded, printable, no separators of ours. */
const PATTERNS = {
  tenant: /^[a-z0-9][a-z0-9_-]{0,62}$/,
  agent: /^[a-z0-9][a-z0-9_-]{0,63}$/,
  worker: /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
} as const;

/** Longest run id (idempotency key) in UTF-16 units; OpenClaw's clients send UUIDs. */
export const RUN_ID_MAX_LENGTH = 256;
/** Longest canonical session key in UTF-16 units. */
export const SESSION_KEY_MAX_LENGTH = 512;

const invalid = (what: string, value: string, rule = ""): HAError =>
  new HAError("REQUEST_INVALID", `invalid ${what}: ${JSON.stringify(value.slice(0, 80))}${rule}`, { what });

const printable = (maxLength: number): string =>
  `; it must have 1 to ${maxLength} characters and no control characters`;

/** @throws HAError REQUEST_INVALID */
export function tenantId(value: string): TenantId {
  if (!PATTERNS.tenant.test(value)) throw invalid("tenant id", value);
  return value as TenantId;
}

/** @throws HAError REQUEST_INVALID */
export function agentId(value: string): AgentId {
  if (!PATTERNS.agent.test(value)) throw invalid("agent id", value);
  return value as AgentId;
}

/** @throws HAError REQUEST_INVALID */
export function workerId(value: string): WorkerId {
  if (!PATTERNS.worker.test(value)) throw invalid("worker id", value);
  return value as WorkerId;
}

/** @throws HAError REQUEST_INVALID when empty, too long or holding control characters. */
export function runId(value: string): RunId {
  if (value.length === 0 || value.length > RUN_ID_MAX_LENGTH || hasControlCharacter(value)) {
    throw invalid("run id (idempotency key)", value, printable(RUN_ID_MAX_LENGTH));
  }
  return value as RunId;
}

/**
 * Accepts a key that is canonical already, as stores and events carry it.
 * What clients send goes through `canonicalSessionKey` of session-key.ts first.
 * @throws HAError REQUEST_INVALID
 */
export function sessionKey(value: string): SessionKey {
  if (value.length === 0 || value.length > SESSION_KEY_MAX_LENGTH || hasControlCharacter(value)) {
    throw invalid("session key", value, printable(SESSION_KEY_MAX_LENGTH));
  }
  return value as SessionKey;
}

/** True for C0 controls and DEL: they would split log lines and break keys. */
export function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
