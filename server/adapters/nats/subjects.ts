import type { SessionKey, TenantId, WorkerId } from "../../core/ids.ts";

/** First token of every subject, and the name of the stream. */
export const DEFAULT_PREFIX = "openclaw-ha";

/** Every subject is built here. */
export interface Subjects {
  /** Where events are written when there is a history; the server sends on to `live` what it has taken. */
  kept(tenant: TenantId, sessionKey: SessionKey): string;
  readonly allKept: string;
  live(tenant: TenantId, sessionKey: SessionKey): string;
  readonly allLive: string;
  /** Of all sessions of a tenant. */
  tenantLive(tenant: TenantId): string;
  notices(tenant: TenantId): string;
  worker(worker: WorkerId): string;
}

/**
 * A subject is made of tokens between dots, in which `*`, `>` and white space have a meaning. Ids are therefore
 * written in base64url: no session key can name, or listen to, anything but itself.
 */
export const subjects = (prefix: string): Subjects => ({
  kept: (tenant, sessionKey) => `${prefix}.kept.${token(tenant)}.${token(sessionKey)}`,
  allKept: `${prefix}.kept.>`,
  live: (tenant, sessionKey) => `${prefix}.live.${token(tenant)}.${token(sessionKey)}`,
  allLive: `${prefix}.live.>`,
  tenantLive: (tenant) => `${prefix}.live.${token(tenant)}.*`,
  notices: (tenant) => `${prefix}.notices.${token(tenant)}`,
  worker: (worker) => `${prefix}.workers.${token(worker)}`,
});

const token = (id: string): string => Buffer.from(id, "utf8").toString("base64url");
