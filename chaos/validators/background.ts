import { subagentOf } from "../history/format.ts";
import { type Facts, nameOf, shown } from "./facts.ts";

/** Something that nobody waits for and that must be said in a session once. */
export interface Promised {
  /** For people: whose it is and what it is. */
  readonly what: string;
  /** How often it stands in the transcript. */
  readonly times: number;
}

/** Why this history cannot prove it: the traffic had such things, and none came about. */
export function doubtsInBackground(facts: Facts): string[] {
  const { operations } = facts;
  const jobs = operations.filter(({ method }) => method === "cron");
  const spawning = operations.filter(({ intent }) => intent === "subagent");
  return [
    ...(jobs.length > 0 && !jobs.some(({ outcome }) => outcome === "ok")
      ? [`none of ${jobs.length} cron jobs was accepted`]
      : []),
    ...(spawning.length > 0 &&
    !spawning.some(({ key, tenant }) => hasSpawned(nameOf(tenant, key ?? ""), facts))
      ? [`none of ${spawning.length} runs has spawned a subagent`]
      : []),
  ];
}

/** The tool said so: a session has room for so many at once, and a run may be stopped before. */
const hasSpawned = (run: string, { rowsOfRun }: Facts): boolean =>
  rowsOfRun.get(run)?.some(({ role, text }) => role === "toolResult" && text.includes('"accepted"')) ?? false;

/**
 * What the runs of the history owe without a client that asks for it: the message of each cron job that was acknowledged,
 * and the announcement, with the answer, of each subagent that a run has spawned.
 */
export function promisedInBackground(facts: Facts): Promised[] {
  const said = (tenant: string, sessionKey: string, is: (text: string) => boolean): number =>
    (facts.rowsOfSession.get(nameOf(tenant, sessionKey)) ?? []).filter(
      ({ role, text }) => role === "user" && is(text),
    ).length;
  const promised: Promised[] = [];
  for (const { key, method, outcome, sessionKey, tenant, words } of facts.operations) {
    if (method !== "cron" || outcome !== "ok") continue;
    const times = said(tenant, sessionKey, (text) => text.includes(words ?? ""));
    promised.push({ what: `the cron job ${shown(nameOf(tenant, key ?? ""))}`, times });
  }
  for (const [name, sends] of facts.sends) {
    const [send] = sends.filter(({ intent, outcome }) => intent === "subagent" && outcome === "ok");
    const run = facts.runs.get(name);
    if (send === undefined || run === undefined || !hasSpawned(name, facts)) continue;
    const child = subagentOf(run.runId);
    // The answer repeats the name; it ends where the name does, as keys may begin alike.
    const isAbout = new RegExp(`^task: ${child}$[^]*You said:[^]*${child} `, "m");
    const times = said(run.tenant, run.sessionKey, (text) => isAbout.test(text));
    promised.push({ what: `the announcement of the subagent of ${shown(name)}`, times });
  }
  return promised;
}
