import { type Facts, factsOf, nameOf, type Operation, shown } from "./facts.ts";
import { findings } from "./assumptions.ts";
import { promisedInBackground } from "./background.ts";
import type { StoredRun } from "../stores/snapshot.ts";
import type { Validator } from "./validator.ts";

type Findings = ReturnType<typeof findings>;

/** Directives that let a call fail: the provider is then asked again within one attempt. */
const FAILS = /\[\[demo[^\]]*\b(error|status|disconnect|truncate|stall|hang)\b/;

/**
 * One key, one run: one record, one user row, one answer; every repetition was answered with the same run, the same
 * key with anything else was a conflict, and the model was asked at most once in an attempt.
 */
export const idempotent: Validator = {
  promise: "idempotent",
  claim: "(tenant, idempotencyKey) names one run",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    const records = new Map<string, string[]>();
    for (const { tenant, key, sessionKey } of evidence.stores.idempotency) {
      const name = nameOf(tenant, key);
      records.set(name, [...(records.get(name) ?? []), sessionKey]);
    }
    if (facts.runs.size !== evidence.stores.runs.length) found.broken("two runs have one id");
    for (const [name, sends] of facts.sends) {
      found.looked();
      judgeAnswers(name, sends, found);
      const accepted = sends.filter(({ outcome }) => outcome === "ok");
      if (accepted.length === 0) continue;
      const of = records.get(name) ?? [];
      if (of.length !== 1)
        found.broken(`${shown(name)} was accepted and has ${of.length} idempotency records`);
      const run = facts.runs.get(name);
      if (run !== undefined) judgeRun(run, accepted, facts, found);
    }
    for (const { what, times } of promisedInBackground(facts)) {
      found.looked();
      if (times > 1) found.broken(`${what} stands ${times} times in the transcript`);
    }
    for (const run of evidence.stores.runs) judgeCalls(run, facts, found);
    return found.judgement("sends");
  },
};

function judgeAnswers(name: string, sends: readonly Operation[], found: Findings): void {
  const accepted = sends.filter(({ outcome }) => outcome === "ok");
  const contents = new Set(accepted.map(contentOf));
  if (contents.size > 1)
    found.broken(
      `${shown(name)} was accepted with ${contents.size} different contents`,
      accepted.at(-1)?.completedAt,
    );
  const runIds = new Set(accepted.flatMap(({ runId }) => (runId === null ? [] : [runId])));
  if (runIds.size > 1) found.broken(`${shown(name)} was answered with the runs ${[...runIds].join(", ")}`);
  const made = accepted.filter(({ status }) => status === "started");
  if (made.length > 1)
    found.broken(`${shown(name)} was answered ${made.length} times as new`, made.at(-1)?.completedAt);
  const all = new Set(sends.map(contentOf));
  for (const send of sends) {
    if (all.size === 1 && isConflict(send))
      found.broken(`${shown(name)} was refused as a conflict with itself`, send.completedAt);
    if (send.outcome === "refused" && contents.size > 0 && !contents.has(contentOf(send))) {
      if (!isConflict(send) && send.error?.retryable !== true)
        found.broken(
          `${shown(name)} with other content was refused, but not as a conflict`,
          send.completedAt,
        );
    }
  }
}

const contentOf = ({ sessionKey, text }: Operation): string => nameOf(sessionKey, text ?? "");
const isConflict = ({ error, outcome }: Operation): boolean =>
  outcome === "refused" && /already used/.test(error?.message ?? "");

/** The run is that of the content which was accepted, and stands in the transcript once. */
function judgeRun(run: StoredRun, accepted: readonly Operation[], facts: Facts, found: Findings): void {
  const name = nameOf(run.tenant, run.runId);
  const [send] = accepted;
  if (send !== undefined && send.sessionKey !== run.sessionKey)
    found.broken(`${shown(name)} was accepted for ${send.sessionKey} and runs in ${run.sessionKey}`);
  if (facts.restarted.has(nameOf(run.tenant, run.sessionKey))) return;
  if (run.mergedInto !== null) return judgeMerged(run, run.mergedInto, accepted, facts, found);
  const rows = facts.rowsOfRun.get(name) ?? [];
  // What was steered in stands among the rows of this run, by its own name.
  const joined = new Set(facts.mergedInto.get(name)?.map(({ runId }) => `${runId}:user`));
  const asked = rows.filter(({ messageId, role }) => role === "user" && !joined.has(messageId));
  const wanted = run.startedAt === null ? 0 : 1;
  if (asked.length !== wanted) found.broken(`${shown(name)} stands ${asked.length} times in the transcript`);
  const [row] = asked;
  if (row !== undefined && !accepted.some(({ words }) => words === null || row.text.includes(words)))
    found.broken(`${shown(name)} stands in the transcript with other words than were accepted`);
  const answers = rows.filter(({ role }) => role === "assistant");
  if (answers.length > 1 && !rows.some(({ role }) => role === "toolResult"))
    found.broken(`${shown(name)} was answered ${answers.length} times`);
}

/** A message that joined another turn is said there, once. */
function judgeMerged(
  run: StoredRun,
  into: string,
  accepted: readonly Operation[],
  facts: Facts,
  found: Findings,
): void {
  const said = (facts.rowsOfRun.get(nameOf(run.tenant, into)) ?? []).filter(
    ({ role, text }) =>
      role === "user" && accepted.some(({ words }) => words !== null && text.includes(words)),
  );
  if (said.length !== 1 && accepted.some(({ words }) => words !== null))
    found.broken(
      `${shown(nameOf(run.tenant, run.runId))} joined the turn of ${into} and stands there ${said.length} times`,
    );
}

/** A call that was answered in full is not repeated, but by another attempt that did not get its result. */
function judgeCalls(run: StoredRun, facts: Facts, found: Findings): void {
  const name = nameOf(run.tenant, run.runId);
  const calls = facts.callsOfRun.get(name) ?? [];
  const modelFails = facts.faults.some(({ kind }) => kind === "model");
  const whole = calls.filter(({ aborted, status, text }) => status === 200 && !aborted && !FAILS.test(text));
  found.looked();
  const answers = (facts.rowsOfRun.get(name) ?? []).filter(({ role }) => role === "assistant").length;
  const allowed = Math.max(answers, 1) + Math.max(run.attempt, 1) - 1;
  if (!modelFails && !facts.restarted.has(nameOf(run.tenant, run.sessionKey)) && whole.length > allowed)
    found.broken(
      `the model was asked ${whole.length} times for ${shown(name)}, which has ${answers} answers and ${run.attempt} attempts`,
    );
  // Calls of cron jobs and announcements have no mark.
  if (facts.sends.has(name) && calls.length === 0 && run.status === "succeeded" && run.mergedInto === null)
    found.broken(`${shown(name)} succeeded without the model`);
}
