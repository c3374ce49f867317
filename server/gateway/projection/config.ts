import type { ConfigView } from "../../core/config-view.ts";

/**
 * `config.get`: the same document under each of the names that OpenClaw has for its stages of resolution. There is no
 * method to change it: it is a file of whoever runs the pool.
 */
export function configSnapshot({ path, exists, document, hash }: ConfigView): unknown {
  return {
    path,
    includedPaths: [],
    includeProvenance: [],
    agentRosterIncludeOwned: false,
    bindingsIncludeOwned: false,
    exists,
    raw: exists ? `${JSON.stringify(document, null, 2)}\n` : null,
    parsed: document,
    sourceConfig: document,
    resolved: document,
    valid: true,
    runtimeConfig: document,
    config: document,
    hash,
    configRevisionHash: hash,
    issues: [],
    warnings: [],
    legacyIssues: [],
  };
}
