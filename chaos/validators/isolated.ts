import { type Facts, factsOf } from "./facts.ts";
import { findings } from "./assumptions.ts";
import type { Validator } from "./validator.ts";

/**
 * Every message of a tenant carries that tenant's canary. Where another one's canary is seen, in an event, an answer,
 * a row, a result, an object or a log, a byte of one tenant has reached another; so has an event of another's run.
 */
export const isolated: Validator = {
  promise: "isolated",
  claim: "no byte of one tenant reaches another",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    const { history, stores } = evidence;
    const { tenants } = history.header;
    const strangersIn = strangersOf(tenants);
    const look = (tenant: string, text: string | null, where: string, at: number | null = null): void => {
      if (text === null || text === "") return;
      found.looked();
      for (const owner of strangersIn(tenant, text))
        found.broken(`${where} of tenant ${tenant} holds the canary of ${owner}`, at);
    };

    const owners = ownersOfRuns(facts);
    for (const record of history.records) {
      if (record.type === "leak") {
        const { client, tenant, canary, frame, at } = record;
        found.broken(
          `${client} of tenant ${tenant} was sent the canary ${canary}: ${frame.slice(0, 80)}`,
          at,
        );
      } else if (record.type === "chat") {
        const { tenant, client, runId, at } = record;
        look(tenant, record.text, `an event to ${client}`, at);
        if (record.text === null) look(tenant, record.delta, `an event to ${client}`, at);
        look(tenant, record.error, `an error told to ${client}`, at);
        const owner = owners.get(runId);
        if (owner !== undefined && !owner.has(tenant))
          found.broken(`${client} of tenant ${tenant} heard run ${runId} of ${[...owner].join(", ")}`, at);
      }
    }
    for (const operation of facts.operations) {
      const { tenant, method, client, rows, error, completedAt } = operation;
      for (const row of rows ?? [])
        look(tenant, row.text, `an answer of ${method} to ${client}`, completedAt);
      look(tenant, error?.message ?? null, `an error told to ${client}`, completedAt);
    }
    for (const row of stores.rows) look(row.tenant, row.text, `row ${row.seq} of ${row.sessionKey}`);
    for (const run of stores.runs) {
      look(run.tenant, run.text, `the result of ${run.runId}`);
      look(run.tenant, run.error, `the error of ${run.runId}`);
    }
    for (const { where, tenant, canary } of stores.foreign)
      found.broken(`${where}: the canary ${canary} of ${tenant} is where it must not be`);
    const others = new Set(facts.operations.map(({ tenant }) => tenant)).size;
    return found.judgement("texts", [
      ...(others < 2 ? ["fewer than two tenants had traffic"] : []),
      ...silentTenants(facts),
    ]);
  },
};

/** A text's canaries that are not its tenant's; one pass over the text, however many tenants there are. */
function strangersOf(tenants: readonly { readonly id: string; readonly canary: string }[]) {
  const owner = new Map(tenants.map(({ id, canary }) => [canary, id]));
  const any = new RegExp([...owner.keys()].map(quoted).join("|") || "(?!)", "g");
  return (tenant: string, text: string): ReadonlySet<string> => {
    const strangers = new Set<string>();
    for (const [canary] of text.matchAll(any)) {
      const of = owner.get(canary);
      if (of !== undefined && of !== tenant) strangers.add(of);
    }
    return strangers;
  };
}

const quoted = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);

/** Who sent which run id. Two tenants may use one. */
function ownersOfRuns({ operations }: Facts): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>();
  for (const { key, method, tenant } of operations) {
    if (key === null || (method !== "send" && method !== "agent")) continue;
    const of = owners.get(key);
    if (of === undefined) owners.set(key, new Set([tenant]));
    else of.add(tenant);
  }
  return owners;
}

/** Tenants none of whose answers shows its canary: looking for it elsewhere would find nothing. */
function silentTenants({ evidence, operations }: Facts): string[] {
  const active = new Set(operations.map(({ tenant }) => tenant));
  return evidence.history.header.tenants
    .filter(({ id }) => active.has(id))
    .filter(
      ({ id, canary }) =>
        !evidence.stores.runs.some((run) => run.tenant === id && run.text?.includes(canary)),
    )
    .map(({ id }) => `no answer of tenant ${id} shows its canary`);
}
