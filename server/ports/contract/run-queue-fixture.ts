import { sessionKey, type TenantId, tenantId, type WorkerId, workerId } from "../../core/ids.ts";
import type { Lane, LaneWidths } from "../../core/lane.ts";
import type { Delivery, ReadySession, RunQueue } from "../run-queue.ts";

export interface RunQueueFixture {
  readonly queue: RunQueue;
  /** The same queue as another process sees it. */
  readonly other: RunQueue;
  close(): Promise<void>;
}

export interface RunQueueSetting {
  readonly laneWidths: LaneWidths;
  readonly laneWidthsOf?: (tenant: TenantId) => LaneWidths | undefined;
}

export const WIDTHS: LaneWidths = { main: 3, subagent: 2, cron: 1 };
export const WIDE: LaneWidths = { main: 100_000, subagent: 100_000, cron: 100_000 };
export const a = workerId("worker-1.a");
export const b = workerId("worker-2.b");
export const acme = tenantId("acme");
export const globex = tenantId("globex");

export const ready = (name: string, tenant = acme, lane: Lane = "main", pool = "shared"): ReadySession => ({
  tenant,
  sessionKey: sessionKey(`agent:main:${name}`),
  lane,
  pool,
});
export const many = (count: number, tenant = acme, lane: Lane = "main"): ReadySession[] =>
  Array.from({ length: count }, (_, i) => ready(`s${i}`, tenant, lane));
export const names = (sessions: readonly ReadySession[]): string[] =>
  sessions.map((session) => session.sessionKey.replace("agent:main:", ""));

/** What can be taken without waiting. */
export const takeNow = (
  queue: RunQueue,
  max = 100,
  worker: WorkerId = a,
  pools = ["shared"],
): Promise<Delivery[]> => queue.take(worker, pools, max, 0);
