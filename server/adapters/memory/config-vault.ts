import type { SecretVault } from "../../ports/secret-vault.ts";

/**
 * The keys that openclaw.json and the environment name, the same for every tenant. They stay in this closure: nothing
 * that is logged, listed or sent holds them.
 */
export function configSecretVault(keys: ReadonlyMap<string, string>): SecretVault {
  return {
    credential: (_tenant, provider) => Promise.resolve(keys.get(provider) ?? null),
  };
}
