import { type Facts, factsOf, nameOf, shown } from "./facts.ts";
import { findings } from "./assumptions.ts";
import type { StoresSnapshot } from "../stores/snapshot.ts";
import type { Validator } from "./validator.ts";

type Findings = ReturnType<typeof findings>;
type Step = StoresSnapshot["steps"][number];

/**
 * A tool call is recorded before it starts, has one result, and one that may not be repeated took effect at most
 * once. Where its outcome was lost with its worker, the model was told that it is unknown.
 */
export const noSilentRepetition: Validator = {
  promise: "no-silent-repetition",
  claim: "a side effect is never silently repeated",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    const effects = Map.groupBy(evidence.stores.effects ?? [], (e) =>
      nameOf(e.tenant, e.runId, e.toolCallId),
    );
    const tools = evidence.stores.steps.filter(({ toolCallId }) => toolCallId !== null);
    const calls = Map.groupBy(tools, (step) => nameOf(step.tenant, step.runId, step.toolCallId ?? ""));
    for (const [name, steps] of calls) {
      found.looked();
      judgeCall(name, steps, effects.get(name)?.length ?? 0, facts, found);
    }
    for (const [name, of] of effects) {
      if (calls.get(name)?.some(({ kind }) => kind === "tool_started")) continue;
      found.broken(`${shown(name)} took effect ${of.length} times, and no step says that it was started`);
    }
    return found.judgement("tool calls");
  },
};

function judgeCall(
  name: string,
  steps: readonly Step[],
  effects: number,
  facts: Facts,
  found: Findings,
): void {
  const inOrder = steps.toSorted((a, b) => a.stepNo - b.stepNo);
  const started = inOrder.filter(({ kind }) => kind === "tool_started");
  const results = inOrder.filter(({ kind }) => kind === "tool_result");
  const [start] = started;
  const [result] = results;
  if (start?.idempotent === false && started.length > 1)
    found.broken(`${shown(name)} may not be repeated and was started ${started.length} times`);
  if (start?.idempotent === false && effects > 1)
    found.broken(`${shown(name)} may not be repeated and took effect ${effects} times`);
  if (results.length > 1) found.broken(`${shown(name)} has ${results.length} results`);
  if (start !== undefined && result !== undefined && result.stepNo < start.stepNo)
    found.broken(`${shown(name)} has a result from before it was started`);
  const isLost = start?.idempotent === false && result !== undefined && result.token > start.token;
  if (isLost && !wasToldUnknown(start, facts))
    found.broken(`${shown(name)} lost its outcome with its worker, and the model was not told`);
}

const wasToldUnknown = ({ tenant, runId }: Step, facts: Facts): boolean =>
  (facts.rowsOfRun.get(nameOf(tenant, runId)) ?? []).some(
    ({ role, text }) => role === "toolResult" && /unknown/i.test(text),
  );
