import { isEnded } from "../../core/run-state.ts";
import {
  effectiveLimits,
  type LimitReason,
  limitReached,
  type TenantLimits,
} from "../../core/tenant-limits.ts";
import type { SessionKey } from "../../core/ids.ts";
import type { MemoryStoreState, StoredRun, StoredTenant } from "./state.ts";

/** What holds for a tenant. */
export const limitsOf = (state: MemoryStoreState, tenant: StoredTenant): TenantLimits =>
  effectiveLimits(state.defaultLimits, tenant.limits);

export const openRuns = (tenant: StoredTenant): StoredRun[] =>
  [...tenant.runs.values()].filter(({ status }) => !isEnded(status));

/** Why a new run of a session cannot be accepted now; null where it can. */
export function limitOf(state: MemoryStoreState, tenant: StoredTenant, key: SessionKey): LimitReason | null {
  const limits = limitsOf(state, tenant);
  if ((tenant.measured?.bytes ?? 0) >= (limits.storageBytes ?? Number.POSITIVE_INFINITY))
    return "tenant-storage";
  if (sessionsFull(limits, tenant, key)) return "tenant-sessions";
  const open = openRuns(tenant);
  const queued = open.filter(({ status }) => status === "queued").length;
  if (queued >= (limits.queuedRuns ?? Number.POSITIVE_INFINITY)) return "tenant-queued-runs";
  const busy = new Set(open.map(({ sessionKey }) => sessionKey));
  const full = !busy.has(key) && busy.size >= (limits.concurrentRuns ?? Number.POSITIVE_INFINITY);
  return full ? "tenant-concurrent-runs" : null;
}

/** For what makes a session without a run. @throws HAError OVERLOADED */
export function checkNewSession(state: MemoryStoreState, tenant: StoredTenant, key: SessionKey): void {
  if (sessionsFull(limitsOf(state, tenant), tenant, key)) throw limitReached("tenant-sessions");
}

const sessionsFull = ({ sessions }: TenantLimits, tenant: StoredTenant, key: SessionKey): boolean =>
  sessions !== undefined && !tenant.sessions.has(key) && tenant.sessions.size >= sessions;

/** Bytes of a tenant: its objects, and the bodies that lie in rows. */
export function storedBytes(tenant: StoredTenant): number {
  const objects = new Map<string, number>();
  let inline = 0;
  for (const { rows, segments } of tenant.sessions.values()) {
    for (const { object } of segments) objects.set(object.sha256, object.bytes);
    for (const { body } of rows) {
      if (body === null) continue;
      if ("inline" in body) inline += Buffer.byteLength(JSON.stringify(body.inline));
      else objects.set(body.object.sha256, body.object.bytes);
    }
  }
  return [...objects.values()].reduce((sum, bytes) => sum + bytes, inline);
}
