import type { TenantId } from "../core/ids.ts";

/** What a presented token allows. */
export interface Principal {
  readonly tenant: TenantId;
  /** Operator scopes as in OpenClaw; `operator.admin` implies the others. */
  readonly scopes: readonly string[];
  readonly pool: string;
  /** First characters of the token's hash: enough to tell tokens apart in a log. */
  readonly tokenLabel: string;
}

export interface TenantRecord {
  readonly id: TenantId;
  readonly pool: string;
  readonly disabled: boolean;
  readonly createdAt: number;
}

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
  /** Adds those that are missing, all at once; the others stay in the pool that they are in. Answers how many it added. */
  addTenants(tenants: readonly { readonly id: TenantId; readonly pool: string }[]): Promise<number>;
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
  /** Whom gateways send away. */
  disabledTenants(): Promise<TenantId[]>;
  /** A secret that all processes share: what is stored under that name, which `first` becomes where there is none. */
  sharedSecret(name: string, first: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}
