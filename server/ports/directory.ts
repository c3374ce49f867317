import { HAError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import type { LimitSettings, TenantLimits } from "../core/tenant-limits.ts";

/** What a presented token allows. */
export interface Principal {
  readonly tenant: TenantId;
  /** Operator scopes as in OpenClaw; `operator.admin` implies the others. */
  readonly scopes: readonly string[];
  readonly pool: string;
  /** What holds for the tenant. */
  readonly limits: TenantLimits;
  /** Names the token without being it: the SHA-256 of it, hex. */
  readonly tokenId: string;
}

export interface TenantRecord {
  readonly id: TenantId;
  readonly pool: string;
  readonly disabled: boolean;
  readonly createdAt: number;
  /** What is said of this tenant. */
  readonly limits: LimitSettings;
  /** What holds for it, with the deployment's defaults. */
  readonly effectiveLimits: TenantLimits;
}

/** A tenant as openclaw-ha.yaml has it. */
export interface WantedTenant {
  readonly id: TenantId;
  readonly pool: string;
  /** Absent: whatever is said of it stays. */
  readonly limits?: LimitSettings;
}

/** A token as operators see it. */
export interface TokenRecord {
  /** As `Principal.tokenId`. */
  readonly id: string;
  readonly label: string;
  readonly scopes: readonly string[];
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

/** How much a tenant has of what can be limited, now. */
export interface TenantUsage {
  readonly sessions: number;
  readonly runningRuns: number;
  readonly queuedRuns: number;
  readonly storageBytes: number;
}

/** A token that is good, and whose it is. */
export interface GoodToken {
  readonly tenant: TenantId;
  readonly limits: TenantLimits;
}

export const noTenant = (tenant: TenantId): HAError =>
  new HAError("NOT_FOUND", `there is no tenant ${tenant}`, { tenant });

/** Why a tenant cannot be removed now, and what to do about it. */
export const notRemovable = (tenant: TenantId, why: "enabled" | "busy"): HAError =>
  why === "enabled"
    ? new HAError("REQUEST_CONFLICT", `tenant ${tenant} is not disabled`, {
        tenant,
        hint: `disable it first: openclaw-ha tenant disable ${tenant}`,
      })
    : new HAError("REQUEST_CONFLICT", `a run of tenant ${tenant} is being executed`, {
        tenant,
        hint: "wait for its end, or cancel it with `openclaw-ha runs cancel`",
      });

/**
 * Tenants and their tokens. Tokens are random, stored as SHA-256 hashes, scoped, and bound to one tenant.
 * @throws HAError STORE_UNAVAILABLE from every method
 */
export interface TenantDirectory {
  /** Null for a token that is unknown, revoked, expired, or of a disabled tenant. */
  authenticate(token: string): Promise<Principal | null>;
  tenants(): Promise<TenantRecord[]>;
  /** Idempotent by id. */
  addTenant(id: TenantId, pool: string): Promise<TenantRecord>;
  /**
   * Adds those that are missing and sets the limits of those of which some are said, all at once; who is in another pool
   * stays there. Idempotent.
   * @returns how many it added
   * @throws HAError REQUEST_CONFLICT for the id of one that was removed; then nothing was done
   */
  ensureTenants(tenants: readonly WantedTenant[]): Promise<number>;
  /** Idempotent by the token's hash. */
  addToken(tenant: TenantId, token: string, scopes: readonly string[], label: string): Promise<void>;
  /**
   * As `addToken`, and revokes the tenant's other tokens of the same label; a token that was revoked so is valid again.
   * Gateways may go on taking a revoked token for as long as they remember it (seconds).
   */
  replaceToken(tenant: TenantId, token: string, scopes: readonly string[], label: string): Promise<void>;
  /**
   * Shuts a tenant out, or lets it in again. From then on its tokens are not good and its runs are refused; what was
   * accepted before is still executed. Gateways close its connections within seconds.
   * @throws HAError NOT_FOUND
   */
  setDisabled(tenant: TenantId, disabled: boolean): Promise<void>;
  /**
   * Those of the tokens, by their ids, that are good now: the others were revoked or have expired, or their tenant is
   * disabled or gone. Gateways ask it for the clients that they have.
   */
  goodTokens(ids: readonly string[]): Promise<ReadonlyMap<string, GoodToken>>;
  /**
   * Says what the limits of a tenant are; what was said before is forgotten. Gateways go by it within seconds.
   * @throws HAError NOT_FOUND
   */
  setLimits(tenant: TenantId, limits: LimitSettings): Promise<void>;
  /** The limits of all tenants of which nothing else is said. */
  setDefaultLimits(limits: LimitSettings): Promise<void>;
  /** @throws HAError NOT_FOUND */
  usage(tenant: TenantId): Promise<TenantUsage>;
  /**
   * Has the tenant's runs executed by the workers of another pool. Whoever executes one of its runs now ends it; from
   * then on no worker of the old pool takes another one. Saying the same again changes nothing.
   * @throws HAError NOT_FOUND
   */
  moveTenant(tenant: TenantId, pool: string): Promise<void>;
  /** Tokens of a tenant, the newest first. */
  tokens(tenant: TenantId): Promise<TokenRecord[]>;
  /**
   * Revokes one token, or all of a label. Gateways close its connections within seconds.
   * @returns how many were good before
   */
  revokeTokens(
    tenant: TenantId,
    which: { readonly id: string } | { readonly label: string },
  ): Promise<number>;
  /**
   * Removes a tenant that is disabled, with all that the database holds of it. Its objects stay where they lie.
   * @throws HAError NOT_FOUND; REQUEST_CONFLICT while it is not disabled or one of its runs is being executed
   */
  removeTenant(tenant: TenantId): Promise<void>;
  /**
   * Measures what tenants with a limit of storage keep, those whose measure is older; `storageBytes` goes by it.
   * @returns how many were measured
   */
  measureStorage(olderThanMs: number): Promise<number>;
  /** A secret that all processes share: what is stored under that name, which `first` becomes where there is none. */
  sharedSecret(name: string, first: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}
