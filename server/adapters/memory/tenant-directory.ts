import { createHash } from "node:crypto";
import { HAError } from "../../core/errors.ts";
import type { TenantId } from "../../core/ids.ts";
import {
  type GoodToken,
  noTenant,
  notRemovable,
  type TenantDirectory,
  type TenantRecord,
} from "../../ports/directory.ts";
import { limitsOf, openRuns, storedBytes } from "./limits.ts";
import type { MemoryStoreState, StoredTenant } from "./state.ts";

/** Tenants and tokens in memory. Only hashes of tokens are kept, as in the other adapters. */
export function memoryTenantDirectory(state: MemoryStoreState): TenantDirectory {
  const known = (id: TenantId): StoredTenant => {
    const tenant = state.tenants.get(id);
    if (!tenant) throw noTenant(id);
    return tenant;
  };
  function notRemoved(id: TenantId): void {
    if (!state.removedTenants.has(id)) return;
    throw new HAError("REQUEST_CONFLICT", `tenant ${id} was removed, and its id is not given out again`);
  }
  function added(id: TenantId, pool: string): StoredTenant {
    notRemoved(id);
    const tenant: StoredTenant = {
      id,
      pool,
      disabled: false,
      limits: {},
      measured: null,
      createdAt: state.now(),
      sessions: new Map(),
      endedSeqs: new Map(),
      runs: new Map(),
    };
    state.tenants.set(id, tenant);
    return tenant;
  }
  /** The tenant of a token that is good. */
  const goodFor = (hash: string): StoredTenant | null => {
    const token = state.tokens.get(hash);
    const tenant = token && state.tenants.get(token.tenant);
    return !tenant || tenant.disabled || token.revokedAt !== null ? null : tenant;
  };

  return {
    authenticate: async (token) => {
      const hash = hashOf(token);
      const tenant = goodFor(hash);
      if (!tenant) return null;
      const { scopes = [] } = state.tokens.get(hash) ?? {};
      const { id, pool } = tenant;
      return { tenant: id, scopes, pool, limits: limitsOf(state, tenant), tokenId: hash };
    },

    tenants: async () => Array.from(state.tenants.values(), (tenant) => recordOf(state, tenant)),

    addTenant: async (id, pool) => recordOf(state, state.tenants.get(id) ?? added(id, pool)),

    ensureTenants: async (tenants) => {
      const missing = tenants.filter(({ id }) => !state.tenants.has(id));
      for (const { id } of missing) notRemoved(id);
      for (const { id, pool } of missing) added(id, pool);
      for (const { id, limits } of tenants) if (limits !== undefined) known(id).limits = limits;
      return missing.length;
    },

    addToken: async (tenant, token, scopes, label) => addToken(state, tenant, token, scopes, label),

    replaceToken: async (tenant, token, scopes, label) => {
      addToken(state, tenant, token, scopes, label);
      const hash = hashOf(token);
      for (const [other, stored] of state.tokens) {
        if (stored.tenant !== tenant || stored.label !== label) continue;
        stored.revokedAt = other === hash ? null : (stored.revokedAt ?? state.now());
      }
    },

    setDisabled: async (tenant, disabled) => {
      known(tenant).disabled = disabled;
    },

    goodTokens: async (ids) => {
      const good = new Map<string, GoodToken>();
      for (const id of ids) {
        const tenant = goodFor(id);
        if (tenant) good.set(id, { tenant: tenant.id, limits: limitsOf(state, tenant) });
      }
      return good;
    },

    setLimits: async (tenant, limits) => {
      known(tenant).limits = limits;
    },

    setDefaultLimits: async (limits) => {
      state.defaultLimits = limits;
    },

    usage: async (id) => {
      const tenant = known(id);
      const open = openRuns(tenant);
      const queuedRuns = open.filter(({ status }) => status === "queued").length;
      return {
        sessions: tenant.sessions.size,
        runningRuns: open.length - queuedRuns,
        queuedRuns,
        storageBytes: storedBytes(tenant),
      };
    },

    moveTenant: async (tenant, pool) => {
      known(tenant).pool = pool;
    },

    tokens: async (tenant) =>
      [...state.tokens]
        .filter(([, stored]) => stored.tenant === tenant)
        .map(([id, { label, scopes, createdAt, revokedAt }]) => ({ id, label, scopes, createdAt, revokedAt }))
        .toReversed(),

    revokeTokens: async (tenant, which) => {
      let revoked = 0;
      for (const [id, stored] of state.tokens) {
        if (stored.tenant !== tenant || stored.revokedAt !== null) continue;
        if ("id" in which ? which.id !== id : which.label !== stored.label) continue;
        stored.revokedAt = state.now();
        revoked++;
      }
      return revoked;
    },

    removeTenant: async (id) => {
      if (state.removedTenants.has(id)) return;
      const tenant = known(id);
      if (!tenant.disabled) throw notRemovable(id, "enabled");
      const sessions = [...tenant.sessions.values()];
      if (sessions.some(({ lease }) => lease !== null)) throw notRemovable(id, "busy");
      for (const session of sessions) state.ready.delete(session);
      for (const [hash, stored] of state.tokens) if (stored.tenant === id) state.tokens.delete(hash);
      state.tenants.delete(id);
      state.removedTenants.add(id);
    },

    measureStorage: async (olderThanMs) => {
      const due = [...state.tenants.values()].filter(
        (tenant) =>
          limitsOf(state, tenant).storageBytes !== undefined &&
          (tenant.measured?.at ?? Number.NEGATIVE_INFINITY) <= state.now() - olderThanMs,
      );
      for (const tenant of due) tenant.measured = { bytes: storedBytes(tenant), at: state.now() };
      return due.length;
    },

    sharedSecret: async (name, first) => {
      const secret = state.sharedSecrets.get(name) ?? first;
      state.sharedSecrets.set(name, secret);
      return secret;
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
  if (state.tokens.has(hash)) return;
  state.tokens.set(hash, { tenant, scopes: [...scopes], label, createdAt: state.now(), revokedAt: null });
}

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

function recordOf(state: MemoryStoreState, tenant: StoredTenant): TenantRecord {
  const { id, pool, disabled, createdAt, limits } = tenant;
  return { id, pool, disabled, createdAt, limits, effectiveLimits: limitsOf(state, tenant) };
}
