import { subagentOf } from "../traffic/plan.ts";
import { type Facts, nameOf, shown } from "./facts.ts";

/** Something that nobody waits for and that must be said in a session once. */
export interface Promised {
  /** For people: whose it is and what it is. */
  readonly what: string;
  /** How often it stands in the transcript. */
  readonly times: number;
}

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
    if (send === undefined || run?.status !== "succeeded") continue;
    const child = subagentOf(run.runId);
    // The answer repeats the name; it ends where the name does, as keys may begin alike.
    const isAbout = new RegExp(`^task: ${child}$[^]*You said:[^]*${child} `, "m");
    const times = said(run.tenant, run.sessionKey, (text) => isAbout.test(text));
    promised.push({ what: `the announcement of the subagent of ${shown(name)}`, times });
  }
  return promised;
}
