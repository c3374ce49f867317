import type { RunId, TenantId } from "../core/ids.ts";
import type { Subagent, SubagentRun } from "../core/subagent.ts";
import type { AcceptedAnswer, RefusedAnswer } from "./accepted-run.ts";
import type { AcceptRequest, GrantRef } from "./run-ledger.ts";

export interface SpawnRequest {
  /** The run that spawns. */
  readonly grant: GrantRef;
  readonly child: Subagent;
  readonly accept: AcceptRequest;
  /** Deepest child allowed; 1: only sessions that are no subagents spawn. */
  readonly maxDepth: number;
  /** Most children of the session that may be open at once. */
  readonly maxOpen: number;
}

export type SpawnAnswer =
  | {
      readonly kind: "spawned";
      readonly depth: number;
      readonly answer: AcceptedAnswer;
    }
  | { readonly kind: "too-deep"; readonly depth: number }
  | { readonly kind: "too-many" }
  /** The run is marked as aborted: it spawns nothing any more. */
  | { readonly kind: "stopped" }
  | RefusedAnswer
  /** The run is not the caller's any more: nothing was spawned by this call. */
  | { readonly kind: "fenced" };

export interface EndedSubagent extends SubagentRun {
  /** False: nobody waits for the end. The parent's session was deleted, or has stopped its subagents. */
  readonly isAwaited: boolean;
}

export interface Announcement {
  readonly child: Subagent;
  /** The run that tells the parent's session; null where nobody is left to tell. */
  readonly accept: AcceptRequest | null;
}

export type AnnounceAnswer =
  | { readonly kind: "announced"; readonly answer: AcceptedAnswer }
  | { readonly kind: "dropped" }
  /** It has been announced before. */
  | { readonly kind: "done" }
  /** Not now; it is found again. */
  | RefusedAnswer;

/**
 * Who spawned whom, and whose end has been told. A child's run and the record of it are one statement, and so are the
 * run that announces its end and the record of that: neither is doubled by a crash, nor lost.
 * @throws HAError STORE_UNAVAILABLE from every method
 */
export interface SubagentStore {
  /** Repeatable: the same child again is answered as spawned. */
  spawn(request: SpawnRequest): Promise<SpawnAnswer>;
  /** Children that have ended without an announcement: the one named, or of all tenants the first few. */
  ended(limit: number, only?: { readonly tenant: TenantId; readonly runId: RunId }): Promise<EndedSubagent[]>;
  /**
   * Subagents that are to be stopped (RunLedger.abort) and are not known to have been: of one tenant, or of all the first
   * few. They stay among them until `stopped`, so that whoever stops them may die at any point.
   */
  stopping(limit: number, tenant?: TenantId): Promise<Subagent[]>;
  /** Takes note that the sessions of these were aborted. */
  stopped(children: readonly Pick<Subagent, "tenant" | "runId">[]): Promise<void>;
  announce(announcements: readonly Announcement[]): Promise<AnnounceAnswer[]>;
  /** Children of the tenant, or of one of its sessions, the newest first. */
  list(
    tenant: TenantId,
    query: { readonly requesterKey?: string; readonly limit: number },
  ): Promise<SubagentRun[]>;
}
