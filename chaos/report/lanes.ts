import { type Facts, isEnd, nameOf, type Operation } from "../validators/facts.ts";
import type { Lane, Stretch } from "./timeline.ts";

/** Sessions that are shown, those with the most runs first: more would be a wall. */
const SESSIONS_MAX = 14;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** A lane for each process: when it ran, and what was done to it. */
export function instanceLanes({ evidence, faults }: Facts, end: number): Lane[] {
  const { records } = evidence.history;
  const changes = Map.groupBy(
    records.filter((record) => record.type === "instance"),
    ({ id }) => id,
  );
  const subjects = new Set([...changes.keys(), ...faults.map(({ subject }) => subject)]);
  return [...subjects].map((id): Lane => {
    const of = changes.get(id) ?? [];
    const runs = of.map(({ at, pid }, i): Stretch => {
      const to = of[i + 1]?.at ?? end;
      return {
        from: at,
        to,
        kind: pid === null ? "down" : "up",
        title: pid === null ? `${id} is gone for ${seconds(to - at)}` : `${id} as process ${pid}`,
      };
    });
    const broken = faults
      .filter(({ subject }) => subject === id)
      .map((fault): Stretch => {
        const from = fault.injectedAt ?? fault.shownAt ?? 0;
        const to = isMoment(fault.kind) ? from : (fault.healedAt ?? end);
        return { from, to, kind: "fault", title: `${fault.kind} of ${id} at ${seconds(from)}` };
      });
    return { label: id, group: "Processes and what was done to them", stretches: [...runs, ...broken] };
  });
}

/** Done in a moment; what lasts is what it caused. */
const isMoment = (kind: string): boolean => ["kill", "terminate", "flush"].includes(kind);

/** A lane for each session: every message from its send to the end that its sender heard. */
export function sessionLanes(facts: Facts, end: number): Lane[] {
  const firsts = new Map<string, Operation>();
  for (const [name, sends] of facts.sends) {
    const [first] = sends;
    if (first !== undefined && sends.some(({ outcome }) => outcome === "ok")) firsts.set(name, first);
  }
  const bySession = Map.groupBy([...firsts], ([, { sessionKey, tenant }]) => nameOf(tenant, sessionKey));
  const shown = [...bySession].toSorted(([, a], [, b]) => b.length - a.length).slice(0, SESSIONS_MAX);
  return shown.map(([session, sends]): Lane => {
    const [tenant = "", key = ""] = session.split("\0");
    const stretches = sends.flatMap(([name, send]) => stretchesOf(facts, name, send, end));
    return {
      label: `${tenant} ${key.replace(/^agent:main:r[0-9a-z]+-/, "")}`,
      group:
        bySession.size > SESSIONS_MAX
          ? `Messages of the ${SESSIONS_MAX} busiest of ${bySession.size} sessions`
          : "Messages, by session",
      stretches,
    };
  });
}

function stretchesOf(facts: Facts, name: string, send: Operation, end: number): Stretch[] {
  const events = facts.heard.get(nameOf(name, send.client)) ?? [];
  const last = events.find(isEnd);
  const began = events.find(({ state }) => state === "delta")?.at ?? last?.at ?? end;
  const over = last?.at ?? end;
  const key = send.key ?? "";
  const state = last?.state ?? "never ended";
  const kind = state === "final" ? "done" : state === "aborted" ? "aborted" : "failed";
  return [
    { from: send.at, to: began, kind: "waiting", title: `${key} waits ${seconds(began - send.at)}` },
    { from: began, to: over, kind, title: `${key}: ${state} after ${seconds(over - send.at)}` },
  ];
}
