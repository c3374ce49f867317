import { describe, expect, it } from "vitest";
import { parseDirectives } from "../../server/demo-model/directives.ts";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import { subagentOf } from "../history/format.ts";
import type { TrafficSpec } from "../scenario.ts";
import { MAIN_TRAFFIC } from "../scenarios/traffic.ts";
import { type Action, type PlanOptions, planTraffic, type TrafficPlan } from "./plan.ts";

const ALL: TrafficSpec = { ...MAIN_TRAFFIC, perSecond: 50 };

const plan = (more: Partial<PlanOptions> = {}): TrafficPlan =>
  planTraffic({
    spec: ALL,
    durationMs: 20_000,
    gateways: 2,
    random: seededRandom(3),
    run: "r1",
    faults: [],
    ...more,
  });

const sends = ({ actions }: TrafficPlan) => actions.filter((action) => action.kind === "send");
const messagesOf = (action: Action) =>
  action.kind === "send" ? [action.message] : action.kind === "reordered" ? action.messages : [];

/** Whose message it is, by the canary in it. */
const tenantOf = ({ tenants }: TrafficPlan, { words }: { readonly words: string }): number =>
  tenants.findIndex(({ canary }) => words.includes(canary));

describe("a traffic plan", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(plan()).toEqual(plan());
    expect(plan({ random: seededRandom(4) })).not.toEqual(plan());
  });

  it("keeps the rate in the long run, at moments that are nobody's beat", () => {
    const { actions } = plan();
    expect(actions.length).toBeGreaterThan(800);
    expect(actions.length).toBeLessThan(1_200);
    const gaps = actions.slice(1).map(({ atMs }, i) => atMs - (actions[i]?.atMs ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0);
    expect(new Set(gaps).size).toBeGreaterThan(30);
  });

  it("has a key of its own for every message, marked and with its tenant's canary", () => {
    const made = plan();
    const messages = made.actions.flatMap(messagesOf);
    expect(new Set(messages.map(({ key }) => key)).size).toBe(messages.length);
    for (const message of messages) {
      const tenant = tenantOf(made, message);
      expect(message.words.startsWith(`<${message.key}> ${made.tenants[tenant]?.canary}`)).toBe(true);
      // Sessions but the first have one key in all tenants; that one names its tenant.
      expect(message.sessionKey).toMatch(new RegExp(`-(own-${tenant}|[1-9])$`));
    }
    const [one, two] = made.tenants;
    expect(one?.canary).not.toBe(two?.canary);
  });

  it("does everything that is asked for, with clients of the session's tenant only", () => {
    const made = plan();
    const all = sends(made);
    const kinds = new Set(made.actions.map(({ kind }) => kind));
    expect([...kinds].toSorted()).toEqual(["history", "reordered", "send"]);
    for (const is of [
      all.some(({ twin }) => twin !== null),
      all.some(({ follower }) => follower !== null),
      all.some(({ loseAnswer }) => loseAnswer),
      all.some(({ abortAfterMs }) => abortAfterMs !== null),
      all.some(({ message }) => message.queueMode === "interrupt"),
      all.some(({ conflict, message }) => conflict !== null && conflict.sessionKey === message.sessionKey),
      all.some(({ conflict, message }) => conflict !== null && conflict.sessionKey !== message.sessionKey),
    ]) {
      expect(is).toBe(true);
    }
    for (const { client, follower, message, twin } of all) {
      const tenant = tenantOf(made, message);
      const involved = [client, twin, follower].filter((who) => who !== null);
      expect(involved.map((who) => made.clients[who]?.tenant)).toEqual(involved.map(() => tenant));
      expect(twin).not.toBe(client);
    }
  });

  it("has subagents and cron jobs where they are asked for, named so that nothing takes them for a run", () => {
    const made = plan({ spec: { ...ALL, mix: { ...ALL.mix, cronJobs: 0.2, subagents: 0.3 } } });
    const jobs = made.actions.filter((action) => action.kind === "cron");
    const spawning = sends(made).filter(({ message }) => message.intent === "subagent");
    expect(jobs.length).toBeGreaterThan(50);
    expect(spawning.length).toBeGreaterThan(50);
    for (const { dueAfterMs, message } of jobs) {
      expect(dueAfterMs).toBeGreaterThanOrEqual(0);
      expect(message.text).toContain(message.words);
      expect(message.words).not.toContain(`<${message.key}>`);
    }
    for (const { message } of spawning) {
      const { directives, rest } = parseDirectives(message.text);
      const [call] = directives.flatMap(({ tools }) => tools);
      expect(call).toMatchObject({ name: "sessions_spawn", args: { label: subagentOf(message.key) } });
      expect(rest).toBe(message.words);
    }
    expect(plan().actions.some(({ kind }) => kind === "cron")).toBe(false);
  });

  it("sends the messages of a model's bad time with its directives", () => {
    const fault = { kind: "model", directives: "error=503", forMs: 1_000 } as const;
    const { actions } = plan({ faults: [{ atMs: 5_000, fault }] });
    for (const action of actions) {
      const bad = action.atMs >= 5_000 && action.atMs < 6_000;
      for (const { text } of messagesOf(action)) expect(text.startsWith("[[demo error=503]]")).toBe(bad);
    }
  });

  it("has nobody who could be a twin or a bystander where a tenant has one client", () => {
    const made = plan({ spec: { ...ALL, clients: 2 } });
    expect(sends(made).every(({ follower, twin }) => follower === null && twin === null)).toBe(true);
    expect(made.actions.some(({ kind }) => kind === "reordered")).toBe(false);
  });
});
