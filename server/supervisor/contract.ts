import type { RunRecord } from "../core/run.ts";
import type { InstanceLoad, ScaledPool, ScalingPolicy } from "../core/scaling.ts";
import type { LimitSettings } from "../core/tenant-limits.ts";
import type { LaneBacklog, RunningRun } from "../ports/run-ledger.ts";
import type { DeploymentProgram, DesiredTopology, Observation } from "./deployment.ts";

/** What `up` hands to the supervisor. */
export interface ApplyRequest {
  readonly desired: DesiredTopology;
  /** Given ones replace what is kept; absent ones stay. */
  readonly secrets: {
    readonly gatewayToken?: string;
    readonly postgresUrl?: string;
    readonly redisUrl?: string;
    readonly natsUrl?: string;
    readonly environment?: Readonly<Record<string, string>>;
  };
  /** Tenants that are added where they are missing, and the limits of those of which some are said. */
  readonly tenants?: readonly TenantOfPool[];
  /** What each tenant may use of which nothing else is said; absent: it stays. */
  readonly limits?: LimitSettings;
}

export interface TenantOfPool {
  readonly id: string;
  readonly pool: string;
  readonly limits?: LimitSettings;
}

/** What `scale` hands to the supervisor; what it leaves out stays. */
export type ScaleRequest = {
  readonly [Pool in ScaledPool]?: { readonly size?: number; readonly policy?: Partial<ScalingPolicy> };
};

/** What `upgrade` hands to the supervisor: what to run from now on, and its configuration as it stands. */
export interface UpgradeRequest extends ApplyRequest {
  readonly program: Pick<DeploymentProgram, "root" | "version">;
}

/** A pool's size as an operator wants it (ports/scaling-store.ts, `setSize`). */
export interface SizeWish {
  readonly pool: ScaledPool;
  readonly desired: number | null;
  readonly otherwise: number;
  readonly policy: ScalingPolicy;
  readonly reason: string;
}

/** What the supervisor does with the database; it knows no SQL itself. */
export interface SupervisorDatabase {
  /**
   * Brings the schema to this release's revision. With `appPassword` the application's role may log in with it.
   * @throws HAError SCHEMA_NEWER, STORE_UNAVAILABLE, CONFIG_INVALID
   */
  migrate(target: {
    readonly adminUrl: string;
    readonly appPassword: string | null;
    readonly onProgress: (text: string) => void;
  }): Promise<void>;
  /** Makes sure that tenant `default` exists and that the token is one of its operators'. Idempotent. With the owner's access. */
  prepareTenant(target: { readonly url: string; readonly token: string }): Promise<void>;
  /**
   * Adds those tenants that are missing and sets what limits are said, however many in one statement. Answers how many it
   * added and which are in another pool than asked for, where they stay. Idempotent. With the owner's access.
   * @throws HAError REQUEST_CONFLICT for the id of a tenant that was removed
   */
  ensureTenants(
    target: { readonly url: string } & Required<Pick<ApplyRequest, "tenants">> & Pick<ApplyRequest, "limits">,
  ): Promise<{ readonly added: number; readonly elsewhere: readonly TenantOfPool[] }>;
  /** Writes down what sizes an operator wants. Idempotent. With the owner's access. */
  saveSizes(target: { readonly url: string; readonly wishes: readonly SizeWish[] }): Promise<void>;
  /** Tenants, queue and sizes, as the database tells them now. May keep a connection until `close`. */
  observe(target: { readonly url: string }): Promise<Observed>;
  /** What the deployment is doing at this moment, for whoever looks at it. May keep a connection until `close`. */
  activity(target: { readonly url: string }): Promise<Activity>;
  close(): Promise<void>;
}

/** What the database tells of a moment's work, and how fast it does; never more than a screen or a report needs. */
export interface Activity {
  /** Of instances that have reported in the last seconds. */
  readonly loads: readonly InstanceLoad[];
  readonly lanes: readonly LaneBacklog[];
  readonly running: readonly RunningRun[];
  readonly failures: readonly RunRecord[];
  /** Milliseconds of a round trip. */
  readonly latencyMs: number;
  /** How far the slowest standby is behind; null without one, or where the role may not see it. */
  readonly lagMs: number | null;
}

/** What the database is asked for again and again. */
export type Observed = Pick<Observation, "tenants" | "queue" | "sizes">;

/** Tells people who wait what is being done. */
export type Progress = (text: string) => void;

/** The login role of serving processes where we run PostgreSQL ourselves (migrate/schema.ts). */
export const APP_ROLE = "openclaw_ha_app";
