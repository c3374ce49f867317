import { type Facts, factsOf, nameOf, type Operation, shown } from "./facts.ts";
import { findings } from "./assumptions.ts";
import type { Validator } from "./validator.ts";

/** Codes by which a gateway says that the request itself cannot be served. */
const CLIENTS_FAULT = new Set(["INVALID_REQUEST", "FORBIDDEN", "NOT_PAIRED"]);
/** Sends that are made to be refused. */
const MADE_TO_BE_REFUSED = new Set(["conflict", "invalid", "too-large", "forbidden"]);

/**
 * What was refused was refused in a way that tells the client to come again, or was the client's own fault; and it
 * left nothing: no run, no row and no idempotency record, unless another try of it was accepted or has an open end.
 */
export const honestDegradation: Validator = {
  promise: "honest-degradation",
  claim: "what cannot be served is refused retryably and leaves nothing",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    for (const operation of facts.operations) {
      if (operation.outcome === "open") continue;
      found.looked();
      if (operation.outcome === "refused") judgeRefusal(operation, facts, found.broken);
    }
    const records = new Set(evidence.stores.idempotency.map(({ tenant, key }) => nameOf(tenant, key)));
    for (const [name, sends] of facts.sends) {
      if (sends.some(({ outcome }) => outcome !== "refused")) continue;
      found.looked();
      const left = [
        ...(facts.runs.has(name) ? ["a run"] : []),
        ...((facts.rowsOfRun.get(name)?.length ?? 0) > 0 ? ["rows"] : []),
        ...(records.has(name) ? ["an idempotency record"] : []),
      ];
      if (left.length > 0)
        found.broken(
          `${shown(name)} was refused and has left ${left.join(" and ")}`,
          sends.at(-1)?.completedAt,
        );
    }
    return found.judgement("requests");
  },
};

function judgeRefusal(
  operation: Operation,
  facts: Facts,
  broken: (what: string, at: number | null) => void,
): void {
  const { method, tenant, key, error, completedAt } = operation;
  const what = `${method} ${key ?? ""} of tenant ${tenant} was refused (${error?.code ?? "no code"}: ${error?.message ?? ""})`;
  if (error?.retryable === true) return;
  if (error === null || !CLIENTS_FAULT.has(error.code)) {
    broken(`${what} and was not told to come again`, completedAt);
  } else if ((method === "send" || method === "agent") && !isOwnFault(operation, facts)) {
    broken(`${what}, and nothing was wrong with it`, completedAt);
  }
}

/** It was made to be refused, or its key was used for something else. */
function isOwnFault(operation: Operation, { sends }: Facts): boolean {
  if (MADE_TO_BE_REFUSED.has(operation.intent)) return true;
  const same = sends.get(nameOf(operation.tenant, operation.key ?? "")) ?? [];
  return same.some(({ text, sessionKey }) => text !== operation.text || sessionKey !== operation.sessionKey);
}
