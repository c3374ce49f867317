import { createHash } from "node:crypto";
import { HAError } from "../../core/errors.ts";
import type { TenantId } from "../../core/ids.ts";
import type { TenantDirectory, TenantRecord } from "../../ports/directory.ts";
import type { MemoryStoreState, StoredTenant } from "./state.ts";

/** Characters of the token's hash that tell tokens apart in a log and help nobody to guess one. */
const LABEL_LENGTH = 12;

/** Tenants and tokens in memory. Only hashes of tokens are kept, as in the other adapters. */
export function memoryTenantDirectory(state: MemoryStoreState): TenantDirectory {
  function added(id: TenantId, pool: string): StoredTenant {
    const tenant: StoredTenant = {
      id,
      pool,
      disabled: false,
      createdAt: state.now(),
      sessions: new Map(),
      endedSeqs: new Map(),
      runs: new Map(),
    };
    state.tenants.set(id, tenant);
    return tenant;
  }

  return {
    authenticate: async (token) => {
      const hash = hashOf(token);
      const known = state.tokens.get(hash);
      const tenant = known && state.tenants.get(known.tenant);
      if (!tenant || tenant.disabled || known.revoked) return null;
      return {
        tenant: tenant.id,
        scopes: known.scopes,
        pool: tenant.pool,
        tokenLabel: hash.slice(0, LABEL_LENGTH),
      };
    },

    tenants: async () => Array.from(state.tenants.values(), recordOf),

    addTenant: async (id, pool) => recordOf(state.tenants.get(id) ?? added(id, pool)),

    addTenants: async (tenants) => {
      const missing = tenants.filter(({ id }) => !state.tenants.has(id));
      for (const { id, pool } of missing) added(id, pool);
      return missing.length;
    },

    addToken: async (tenant, token, scopes, label) => addToken(state, tenant, token, scopes, label),

    replaceToken: async (tenant, token, scopes, label) => {
      addToken(state, tenant, token, scopes, label);
      const hash = hashOf(token);
      for (const [known, stored] of state.tokens) {
        if (stored.tenant === tenant && stored.label === label) stored.revoked = known !== hash;
      }
    },

    setDisabled: async (tenant, disabled) => {
      const known = state.tenants.get(tenant);
      if (!known) throw new HAError("NOT_FOUND", `there is no tenant ${tenant}`, { tenant });
      known.disabled = disabled;
    },

    disabledTenants: async () =>
      [...state.tenants.values()].filter(({ disabled }) => disabled).map(({ id }) => id),

    sharedSecret: async (name, first) => {
      const known = state.sharedSecrets.get(name) ?? first;
      state.sharedSecrets.set(name, known);
      return known;
    },

    close: async () => {},
  };
}

function addToken(
  state: MemoryStoreState,
  tenant: TenantId,
  token: string,
  scopes: readonly string[],
  label: string,
): void {
  if (!state.tenants.has(tenant)) {
    throw new HAError("NOT_FOUND", `there is no tenant ${tenant} to add a token to`, { tenant });
  }
  const hash = hashOf(token);
  if (!state.tokens.has(hash)) state.tokens.set(hash, { tenant, scopes: [...scopes], label, revoked: false });
}

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

const recordOf = ({ id, pool, disabled, createdAt }: StoredTenant): TenantRecord => ({
  id,
  pool,
  disabled,
  createdAt,
});
