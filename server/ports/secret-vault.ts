import type { TenantId } from "../core/ids.ts";

/**
 * Credentials of model providers, handed out per run and never logged.
 * @throws HAError STORE_UNAVAILABLE
 */
export interface SecretVault {
  /** The key of one provider, or null where it needs none or none is known. */
  credential(tenant: TenantId, provider: string): Promise<string | null>;
}
