import type { Random } from "../../server/ports/random.ts";
import { markOf, subagentOf } from "../history/format.ts";
import type { TimedFault, TrafficSpec } from "../scenario.ts";

/** A message as some client is to send it. */
export interface Message {
  readonly key: string;
  readonly sessionKey: string;
  /** What the answer must repeat: mark, canary, words. */
  readonly words: string;
  /** As sent: directives for the demo model, then the words. */
  readonly text: string;
  readonly queueMode: QueueMode | null;
  readonly intent: Intent;
}

export type QueueMode = "steer" | "followup" | "collect" | "interrupt";
export type Intent =
  | "plain"
  | "duplicate"
  | "conflict"
  | "lost-answer"
  | "reordered"
  | "abort"
  | "tool"
  | "storm"
  | "subagent"
  | "cron";

/** What is done at a moment; clients by their number. `atMs` counts from the start of the traffic. */
export type Action = { readonly atMs: number } & (
  | {
      readonly kind: "send";
      readonly client: number;
      readonly message: Message;
      /** Sends the same under the same key at the same time. */
      readonly twin: number | null;
      /** Hears the same run over another connection. */
      readonly follower: number | null;
      /** The connection is thrown away right behind the request. */
      readonly loseAnswer: boolean;
      /** After the ack, the run is aborted so much later. */
      readonly abortAfterMs: number | null;
      /** After the ack, sent by `client` under the same key, and to be refused. */
      readonly conflict: Message | null;
    }
  | {
      readonly kind: "reordered";
      readonly clients: readonly [number, number];
      readonly messages: readonly [Message, Message];
    }
  | { readonly kind: "history"; readonly client: number; readonly sessionKey: string }
  /** A cron job that is due so much later; its message is said in that session. */
  | { readonly kind: "cron"; readonly client: number; readonly message: Message; readonly dueAfterMs: number }
);

/** A client: whose it is and which gateway it asks first. */
export interface ClientPlan {
  readonly name: string;
  readonly tenant: number;
  readonly home: number;
}

export interface TrafficPlan {
  readonly clients: readonly ClientPlan[];
  readonly tenants: readonly { readonly id: string; readonly canary: string }[];
  /** Of the first tenant; where faults look for the holder. */
  readonly hotSession: string;
  /** Sent, and answered, before anything is broken. */
  readonly warmUp: readonly { readonly client: number; readonly message: Message }[];
  readonly actions: readonly Action[];
}

export interface PlanOptions {
  readonly spec: TrafficSpec;
  readonly durationMs: number;
  readonly gateways: number;
  readonly random: Random;
  /** Tells the messages and sessions of this run from those of every other one. */
  readonly run: string;
  /** Those of the model are done by the messages themselves. */
  readonly faults: readonly TimedFault[];
}

const QUEUE_MODES: readonly QueueMode[] = ["interrupt", "interrupt", "steer", "collect", "followup"];
const ABORT_WITHIN_MS = 400;
/** Larger than a page of any table, small enough to stay in its row. */
const LARGE_CHARACTERS = 20_000;
const CRON_DUE_WITHIN_MS = 3_000;
/** How long a subagent works, so that its end comes at a moment of its own. */
const SUBAGENT_DIRECTIVES: readonly string[] = [
  "chunks=2 delay=20",
  "chunks=6 delay=70",
  "chunks=12 delay=90",
];

const PLAIN_SEND = {
  kind: "send",
  twin: null,
  follower: null,
  loseAnswer: false,
  abortAfterMs: null,
  conflict: null,
} as const;

/**
 * Everything that the clients will do, drawn before anything is done: the same seed, the same plan. Sends come in an
 * open loop: a deployment that is slow gets no less of them.
 */
export function planTraffic(options: PlanOptions): TrafficPlan {
  const { durationMs, faults, gateways, random, run, spec } = options;
  const canaryOf = (tenant: number): string =>
    `canary-${run}-${tenant}-${Buffer.from(random.bytes(6)).toString("hex")}`;
  const tenants = Array.from({ length: spec.tenants }, (_, i) => ({
    id: `chaos-${i + 1}`,
    canary: canaryOf(i),
  }));
  const clients = Array.from({ length: spec.clients }, (_, i): ClientPlan => ({
    name: `c${i + 1}`,
    tenant: i % spec.tenants,
    // Neighbours of one tenant begin at different gateways.
    home: Math.floor(i / spec.tenants) % gateways,
  }));
  const membersOf = (tenant: number): number[] =>
    clients.flatMap((client, i) => (client.tenant === tenant ? [i] : []));
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.float() * from.length)] as T;
  const chance = (share: number): boolean => random.float() < share;
  // Each tenant's first session is its own; the others have one key in all tenants, so that whatever is kept by the
  // session key alone would mix them.
  const sessionOf = (tenant: number, n: number): string =>
    n === 0 ? `agent:main:${run}-own-${tenant}` : `agent:main:${run}-${n}`;

  let sends = 0;
  /** How the model is to fail at that time, or null. */
  const failureAt = (atMs: number): string | null => {
    for (const { atMs: from, fault } of faults) {
      if (fault.kind === "model" && atMs >= from && atMs < from + fault.forMs) return fault.directives;
    }
    return null;
  };
  const message = (
    tenant: number,
    sessionKey: string,
    atMs: number,
    more: Partial<Message> = {},
  ): Message => {
    const key = more.key ?? `${run}-${++sends}`;
    // Drawn only where it is asked for, so that it changes no other plan.
    const padding = spec.mix.large && chance(spec.mix.large) ? ` ${"x".repeat(LARGE_CHARACTERS)}` : "";
    const words = `${markOf(key)} ${tenants[tenant]?.canary} ${pick(WORDS)} ${pick(WORDS)}${padding}`;
    const usual = spec.directives.length === 0 ? "" : pick(spec.directives);
    const directives = failureAt(atMs) ?? usual;
    const intent = more.intent ?? (directives.includes("tool=") ? "tool" : "plain");
    const text = directives === "" ? words : `[[demo ${directives}]] ${words}`;
    return { key, sessionKey, words, text, queueMode: null, ...more, intent };
  };
  /** A message whose run spawns a subagent, and answers when the tool has. */
  const spawning = (tenant: number, sessionKey: string, atMs: number): Message => {
    const asked = message(tenant, sessionKey, atMs, { intent: "subagent" });
    const name = subagentOf(asked.key);
    const task = `[[demo ${pick(SUBAGENT_DIRECTIVES)}]] ${name} ${tenants[tenant]?.canary}`;
    const spawn = `tool=sessions_spawn${JSON.stringify({ task, label: name })}`;
    return { ...asked, text: `[[demo ${spawn}]] ${asked.words}` };
  };
  /** A message that nobody sends: its mark would name a run. */
  const scheduled = (tenant: number, sessionKey: string, atMs: number): Message => {
    const asked = message(tenant, sessionKey, atMs, { intent: "cron" });
    const words = `cron-${asked.key} ${tenants[tenant]?.canary}`;
    return { ...asked, words, text: `[[demo chunks=4 delay=20]] ${words}` };
  };

  const next = (atMs: number): Action => {
    const hot = chance(spec.hot);
    const tenant = hot ? 0 : Math.floor(random.float() * spec.tenants);
    const session = hot ? 0 : Math.floor(random.float() * spec.sessions);
    const sessionKey = sessionOf(tenant, session);
    const members = membersOf(tenant);
    const client = pick(members);
    const others = members.filter((other) => other !== client);
    const { mix } = spec;
    if (chance(mix.histories)) return { kind: "history", atMs, client, sessionKey };
    // Drawn only where they are asked for, so that they change no other plan.
    if (mix.cronJobs && chance(mix.cronJobs)) {
      const dueAfterMs = Math.round(random.float() * CRON_DUE_WITHIN_MS);
      return { kind: "cron", atMs, client, message: scheduled(tenant, sessionKey, atMs), dueAfterMs };
    }
    if (mix.subagents && chance(mix.subagents)) {
      return { ...PLAIN_SEND, atMs, client, message: spawning(tenant, sessionKey, atMs) };
    }
    if (others.length > 0 && chance(mix.reordered)) {
      const intent = "reordered" as const;
      const first = message(tenant, sessionKey, atMs, { intent });
      const second = message(tenant, sessionKey, atMs, { intent });
      return { kind: "reordered", atMs, clients: [client, pick(others)], messages: [second, first] };
    }
    const twin = others.length > 0 && chance(mix.duplicates) ? pick(others) : null;
    const loseAnswer = twin === null && chance(mix.lostAnswers);
    const abortAfterMs = chance(mix.aborts) ? Math.round(random.float() * ABORT_WITHIN_MS) : null;
    const follower = others.length > 0 && chance(mix.followers) ? pick(others) : null;
    const intent: Partial<Message> =
      twin !== null
        ? { intent: "duplicate" }
        : loseAnswer
          ? { intent: "lost-answer" }
          : abortAfterMs !== null
            ? { intent: "abort" }
            : {};
    const queueMode = chance(mix.interrupts) ? pick(QUEUE_MODES) : null;
    const sent = message(tenant, sessionKey, atMs, { ...intent, queueMode });
    const elsewhere = chance(0.5) ? sessionOf(tenant, (session + 1) % spec.sessions) : sessionKey;
    const conflict = chance(mix.conflicts)
      ? {
          ...message(tenant, elsewhere, atMs, { key: sent.key, intent: "conflict" }),
          words: "",
          text: `other words than ${sent.key}`,
        }
      : null;
    return {
      kind: "send",
      atMs,
      client,
      message: sent,
      twin,
      follower: follower === twin ? null : follower,
      loseAnswer,
      abortAfterMs,
      conflict,
    };
  };

  // In a session of its own, answered at once: what is slow or breaks between messages is for the traffic to show.
  const warmUp = clients.map(({ tenant }, client) => {
    const asked = message(tenant, `agent:main:${run}-warm-${client}`, -1);
    return { client, message: { ...asked, text: asked.words } };
  });
  const actions: Action[] = [];
  for (let at = 0; ;) {
    // Poisson: bursts and pauses as independent people make them.
    at += (-Math.log(1 - random.float()) / spec.perSecond) * 1_000;
    if (at >= durationMs) break;
    actions.push(next(Math.round(at)));
  }
  return { clients, tenants, hotSession: sessionOf(0, 0), warmUp, actions };
}

const WORDS = [
  "alder",
  "birch",
  "cedar",
  "elm",
  "fir",
  "hazel",
  "juniper",
  "larch",
  "maple",
  "oak",
  "rowan",
  "yew",
];
