import { type CallOfRun, type Facts, factsOf, type Fault, nameOf, shown } from "./facts.ts";
import { findings } from "./assumptions.ts";
import type { Validator } from "./validator.ts";

type Findings = ReturnType<typeof findings>;

/** The demo model keeps so many calls; beyond it the oldest are gone and prove nothing. */
const CALLS_KEPT = 10_000;
/** Faults by which a holder goes on unaware that it was replaced. */
const CUTS_OFF = new Set(
  "pause latency rate black-hole reset slow-close cpu-starvation memory-limit clock-skew".split(" "),
);
const HARMLESS = new Set(["reconnect-storm", "model", "flush"]);
/** How long before the takeover such a fault may have begun: the time to live, and what a sweep takes. */
const CUT_OFF_BEFORE_MS = 20_000;
/** How late the model may see that the socket of a killed process is closed. */
const CLOSE_SEEN_MS = 1_000;

/**
 * No two model calls of a session overlap by the model's own order of starts and ends, except the open call of a
 * holder that was paused or cut off, once a later attempt of the same run has begun. Tokens only grow, and one token
 * names one grant. No session is taken from a holder to whom nothing has happened: that the holder notices in time is
 * the second line, and luck.
 */
export const exclusive: Validator = {
  promise: "exclusive",
  claim: "one worker executes a session at a time",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    for (const calls of facts.callsOfSession.values()) judgeOverlaps(calls, facts, found);
    judgeLeases(facts, found);
    judgeRunTokens(facts, found);
    judgeTakeovers(facts, found);
    const full = evidence.stores.calls.length >= CALLS_KEPT;
    return found.judgement("model calls", full ? ["the model has forgotten its oldest calls"] : []);
  },
};

/** `open` holds the calls that have not ended when the next one begins, so that no pair is looked at twice. */
function judgeOverlaps(calls: readonly CallOfRun[], facts: Facts, found: Findings): void {
  let open: CallOfRun[] = [];
  for (const [i, later] of calls.entries()) {
    const begins = later.call.startOrder;
    open = open.filter(({ call }) => (call.endOrder ?? Number.POSITIVE_INFINITY) > begins);
    found.looked();
    for (const earlier of open) {
      if (isExcused(earlier, later, calls.slice(0, i + 1), facts)) continue;
      const { run } = earlier;
      found.broken(
        `${run.tenant}/${run.sessionKey}: ${run.runId} was with the model (call ${earlier.call.startOrder} to ` +
          `${earlier.call.endOrder ?? "never"}) when ${later.run.runId} was asked (call ${begins})`,
        timeOf(later, facts),
      );
    }
    open.push(later);
  }
}

/** The earlier call belongs to a holder that was replaced, for a reason that the history shows. */
function isExcused(earlier: CallOfRun, later: CallOfRun, until: readonly CallOfRun[], facts: Facts): boolean {
  const replaced = until.some(
    ({ call, run }) => run === earlier.run && call.startOrder > earlier.call.startOrder,
  );
  if (!replaced || earlier.run.attempt < 2) return false;
  const takenOverAt = timeOf(later, facts);
  const began = timeOf(earlier, facts);
  return facts.faults.some(
    (fault) => cutsOff(fault, began, takenOverAt) || killed(fault, earlier, takenOverAt),
  );
}

function cutsOff({ kind, injectedAt, healedAt }: Fault, began: number, takenOverAt: number): boolean {
  if (!CUTS_OFF.has(kind) || injectedAt === null || injectedAt > takenOverAt) return false;
  return (healedAt ?? injectedAt) >= began - CUT_OFF_BEFORE_MS;
}

/** Its process was killed, and the model noticed a little late. */
function killed({ kind, injectedAt }: Fault, { call }: CallOfRun, takenOverAt: number): boolean {
  if (injectedAt === null || injectedAt > takenOverAt || !/kill|signal|terminate/i.test(kind)) return false;
  return call.aborted && call.endedAt !== null && takenOverAt - injectedAt < CLOSE_SEEN_MS;
}

/** A run is begun anew only after something that can cost a worker its life, its lease or its database. */
function judgeTakeovers(facts: Facts, found: Findings): void {
  const { history, stores } = facts.evidence;
  // Of a deployment that somebody else runs, not every restart is known.
  if (history.header.target === "attach") return;
  for (const { attempt, endedAt, runId, tenant } of stores.runs) {
    if (attempt < 2) continue;
    found.looked();
    const until = endedAt === null ? Number.POSITIVE_INFINITY : endedAt - history.header.startedAtMs;
    if (!facts.faults.some((fault) => costsAttempts(fault) && (fault.injectedAt ?? Infinity) <= until))
      found.broken(`${tenant}/${runId} was begun ${attempt} times, and nothing had happened to its holder`);
  }
}

/** Those that concern clients, gateways, the queue, objects or the model leave holders where they are. */
const costsAttempts = ({ kind, subject }: Fault): boolean =>
  !HARMLESS.has(kind) && !/gateway|redis|nats|s3|control|supervisor|clients/.test(subject);

/** Milliseconds into the run at which the call began, by the model's clock. */
const timeOf = ({ call }: CallOfRun, { evidence }: Facts): number =>
  call.startedAt - evidence.history.header.startedAtMs;

function judgeLeases(facts: Facts, found: Findings): void {
  const newest = new Map<string, { token: number; holder: string | null }>();
  for (const record of facts.evidence.history.records) {
    if (record.type !== "lease") continue;
    found.looked();
    const name = nameOf(record.tenant, record.sessionKey);
    const before = newest.get(name);
    const holder = record.worker === null ? null : nameOf(record.worker, record.runId ?? "");
    if (before !== undefined && record.token < before.token) {
      found.broken(`${shown(name)}: the token went back from ${before.token} to ${record.token}`, record.at);
    } else if (before?.token === record.token && before.holder !== null && holder !== null) {
      if (before.holder !== holder)
        found.broken(
          `${shown(name)}: token ${record.token} was given to ${shown(before.holder)} and to ${shown(holder)}`,
          record.at,
        );
    }
    const kept = before?.token === record.token ? (holder ?? before.holder) : holder;
    newest.set(name, { token: record.token, holder: kept });
  }
  for (const { tenant, sessionKey, token } of facts.evidence.stores.leases) {
    const seen = newest.get(nameOf(tenant, sessionKey));
    if (seen !== undefined && token < seen.token)
      found.broken(`${tenant}/${sessionKey}: token ${seen.token} was seen, and ${token} is stored now`);
  }
}

/** Runs are granted one after another, each under a larger token; what a run stored, it stored under growing tokens. */
function judgeRunTokens(facts: Facts, found: Findings): void {
  for (const [name, runs] of facts.runsOfSession) {
    let before: (typeof runs)[number] | null = null;
    for (const run of runs) {
      if (run.startedAt === null || run.attempt === 0) continue;
      found.looked();
      if (before !== null && run.token <= before.token)
        found.broken(
          `${shown(name)}: ${run.runId} ran under token ${run.token}, after ${before.runId} under ${before.token}`,
        );
      before = run;
    }
  }
  for (const [name, steps] of Map.groupBy(facts.evidence.stores.steps, (s) => nameOf(s.tenant, s.runId))) {
    let token = 0;
    for (const step of steps.toSorted((a, b) => a.stepNo - b.stepNo)) {
      found.looked();
      if (step.token < token)
        found.broken(
          `${shown(name)}: step ${step.stepNo} was stored under token ${step.token} after ${token}`,
        );
      token = Math.max(token, step.token);
    }
  }
}
