import {
  type Facts,
  factsOf,
  type Heard,
  isEnd,
  isTerminal,
  nameOf,
  type Operation,
  shown,
} from "./facts.ts";
import { findings } from "./assumptions.ts";
import { doubtsInBackground, promisedInBackground } from "./background.ts";
import type { StoredRun } from "../stores/snapshot.ts";
import type { Validator } from "./validator.ts";

type Findings = ReturnType<typeof findings>;

/** Told times and stored times are of two processes of one machine, and are rounded. */
const CLOCKS_AGREE_MS = 250;

const END_OF: Readonly<Record<string, Heard["state"]>> = {
  succeeded: "final",
  aborted: "aborted",
  timed_out: "aborted",
  failed: "error",
  dead: "error",
};

/**
 * Whatever was acknowledged is a run that has ended, its result can be read, and its sender was told the end: once,
 * after it was stored, and the same that is stored.
 */
export const noLostAck: Validator = {
  promise: "no-lost-ack",
  claim: "an acknowledged run ends, and its result can be read",
  judge(evidence) {
    const facts = factsOf(evidence);
    const found = findings(facts);
    for (const [name, sends] of facts.sends) {
      const acknowledged = sends.filter(({ outcome }) => outcome === "ok");
      const [first] = acknowledged;
      if (first === undefined) continue;
      found.looked();
      const run = facts.runs.get(name);
      if (run === undefined) {
        found.broken(`${shown(name)} was acknowledged and is in no store`, first.completedAt);
        continue;
      }
      if (!isTerminal(run)) {
        found.broken(`${shown(name)} was acknowledged and is ${run.status}`, first.completedAt);
        continue;
      }
      judgeText(run, acknowledged, facts, found);
      for (const client of new Set(acknowledged.map((send) => send.client))) {
        const isTold = facts.heard.get(nameOf(run.tenant, run.runId, client))?.some(isEnd) ?? false;
        if (!isTold && !wasRead(run, client, facts))
          found.broken(
            `${client} sent ${shown(name)}, was told that it will end, and never heard or read the end`,
          );
      }
    }
    for (const { what, times } of promisedInBackground(facts)) {
      found.looked();
      if (times === 0) found.broken(`${what} was owed and stands nowhere`);
    }
    for (const events of facts.heard.values()) judgeEnds(events.filter(isEnd), facts, found);
    return found.judgement("acknowledged sends", doubtsInBackground(facts));
  },
};

/** An answer repeats the words that it was asked, and stands in the transcript. */
function judgeText(run: StoredRun, sends: readonly Operation[], facts: Facts, found: Findings): void {
  if (run.status !== "succeeded") return;
  const name = nameOf(run.tenant, run.runId);
  if (run.mergedInto !== null) return judgeMerged(run, run.mergedInto, facts, found);
  // The answer may be to what joined the turn later.
  const joined = (facts.mergedInto.get(name) ?? []).flatMap(
    ({ tenant, runId }) => facts.sends.get(nameOf(tenant, runId)) ?? [],
  );
  const words = [...sends, ...joined].flatMap((send) =>
    send.words === null || givesText(send) ? [] : [send.words],
  );
  if (run.text === null || (words.length > 0 && !words.some((said) => run.text?.includes(said)))) {
    const told = run.text === null ? "no text" : JSON.stringify(run.text.slice(0, 80));
    found.broken(`${shown(name)} succeeded with ${told}, which does not answer what was sent`);
  }
  if (facts.restarted.has(nameOf(run.tenant, run.sessionKey))) return;
  judgeJoined(run, sends, facts, found);
  const answers = (facts.rowsOfRun.get(name) ?? []).filter(({ role }) => role === "assistant");
  if (!answers.some(({ text }) => text === run.text))
    found.broken(`${shown(name)} succeeded, and its answer is not in the transcript`);
}

/**
 * The model answers the newest message of its turn: what was steered in last, or else all that was collected. A turn that
 * another worker goes on with has not forgotten it.
 */
function judgeJoined(run: StoredRun, sends: readonly Operation[], facts: Facts, found: Findings): void {
  const joined = facts.mergedInto.get(nameOf(run.tenant, run.runId)) ?? [];
  if (joined.length === 0) return;
  const steered = (facts.rowsOfRun.get(nameOf(run.tenant, run.runId)) ?? [])
    .filter(({ role }) => role === "user")
    .flatMap(({ messageId }) => joined.filter(({ runId }) => messageId === `${runId}:user`));
  for (const { runId } of steered.length > 0 ? steered.slice(-1) : joined) {
    const said = facts.sends.get(nameOf(run.tenant, runId)) ?? [];
    if ([...sends, ...said].some(givesText)) continue;
    if (!said.some(({ words }) => words === null || run.text?.includes(words)))
      found.broken(
        `${shown(nameOf(run.tenant, runId))} joined the turn of ${run.runId}, whose answer is not to it`,
      );
  }
}

/** A message that joined another turn has no answer of its own, and that turn has ended. */
function judgeMerged(run: StoredRun, into: string, facts: Facts, found: Findings): void {
  const name = shown(nameOf(run.tenant, run.runId));
  const turn = facts.runs.get(nameOf(run.tenant, into));
  if (turn === undefined || turn.sessionKey !== run.sessionKey || turn.mergedInto !== null)
    found.broken(`${name} joined the turn of ${into}, which is none of its session`);
  else if (!isTerminal(turn)) found.broken(`${name} joined the turn of ${into}, which is ${turn.status}`);
  if (run.text !== "") found.broken(`${name} joined the turn of ${into} and has an answer of its own`);
}

/** The model was told what to answer, so that nothing is repeated. */
const givesText = ({ text }: Operation): boolean => /\[\[demo[^\]]*\b(text|finish)=/.test(text ?? "");

/** The ends of one run that one client heard, whether it had sent the message or only listened. */
function judgeEnds(ends: readonly Heard[], facts: Facts, found: Findings): void {
  const [first] = ends;
  const run = first && facts.runs.get(nameOf(first.tenant, first.runId));
  if (run === undefined || !isTerminal(run)) return;
  const name = nameOf(run.tenant, run.runId);
  const { client } = first as Heard;
  for (const [connection, told] of Map.groupBy(ends, (end) => end.connection)) {
    if (told.length > 1)
      found.broken(
        `${client} heard ${told.length} ends of ${shown(name)} on connection ${connection}`,
        told.at(-1)?.at,
      );
  }
  for (const end of ends) {
    const toldAt = facts.evidence.history.header.startedAtMs + end.at;
    if (facts.oneClock && run.endedAt !== null && toldAt < run.endedAt - CLOCKS_AGREE_MS)
      found.broken(
        `${client} heard the end of ${shown(name)} ${Math.round(run.endedAt - toldAt)} ms before it was stored`,
        end.at,
      );
    if (end.state !== END_OF[run.status])
      found.broken(`${client} heard that ${shown(name)} ended as ${end.state}; it is ${run.status}`, end.at);
    else if (run.status === "succeeded" && (end.text ?? "") !== (run.text ?? ""))
      found.broken(
        `${client} heard an end of ${shown(name)} with ${end.text?.length ?? 0} characters; ` +
          `${run.text?.length ?? 0} are stored`,
        end.at,
      );
  }
}

/** The client asked afterwards and was answered how the run ended, or its row. */
const wasRead = (run: StoredRun, client: string, facts: Facts): boolean =>
  facts.operations.some(
    (operation) =>
      operation.client === client &&
      operation.outcome === "ok" &&
      operation.tenant === run.tenant &&
      ((operation.key === run.runId && isTerminal({ status: operation.status ?? "" })) ||
        (operation.rows?.some(({ role, text }) => role === "assistant" && text === run.text) ?? false)),
  );
