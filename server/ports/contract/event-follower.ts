import { type AgentId, runId, sessionKey, type SessionKey, type TenantId, tenantId } from "../../core/ids.ts";
import { type Notice, type RunEvent, type RunEventBody, runSeqOf } from "../../core/run-event.ts";
import type { EventBus, TenantHandlers, Unsubscribe } from "../event-bus.ts";

/** What a contract test writes: events of one run under one grant. */
export interface Writer {
  /** The event at a place of the attempt, from 1. */
  at(n: number, body?: RunEventBody): RunEvent;
  /** Places from..to: the first of an attempt is `started`, the others are deltas of their own number. */
  range(from: number, to: number): RunEvent[];
}

export interface WriterOptions {
  readonly tenant?: string;
  readonly session?: SessionKey;
  readonly run?: string;
  readonly token?: number;
  readonly attempt?: number;
}

export function writer(options: WriterOptions = {}): Writer {
  const { tenant = "acme", session = sessionKey("agent:main:main"), run = "run-1" } = options;
  const { token = 1, attempt = 1 } = options;
  const at: Writer["at"] = (n, body) => ({
    tenant: tenantId(tenant),
    sessionKey: session,
    agentId: "main" as AgentId,
    runId: runId(run),
    token,
    runSeq: runSeqOf(attempt, n),
    at: 1_700_000_000_000 + n,
    body: body ?? (n === 1 ? { type: "started", text: "" } : { type: "delta", text: `${n} ` }),
  });
  return {
    at,
    range: (from, to) => Array.from({ length: to - from + 1 }, (_, i) => at(from + i)),
  };
}

/** A follower of a tenant that keeps what it hears. */
export interface Follower {
  readonly events: RunEvent[];
  readonly notices: Notice[];
  gaps(): number;
  /** Resolves when the condition holds, looking each time something is heard. */
  heard(condition: () => boolean): Promise<void>;
  unsubscribe: Unsubscribe;
}

export async function follow(bus: EventBus, tenant: TenantId): Promise<Follower> {
  const events: RunEvent[] = [];
  const notices: Notice[] = [];
  let gaps = 0;
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    const woken = waiting;
    waiting = [];
    for (const look of woken) look();
  };
  const handlers: TenantHandlers = {
    onEvents(batch) {
      events.push(...batch);
      wake();
    },
    onNotice(notice) {
      notices.push(notice);
      wake();
    },
    onGap() {
      gaps++;
      wake();
    },
  };
  const unsubscribe = await bus.subscribe(tenant, handlers);
  return {
    events,
    notices,
    gaps: () => gaps,
    async heard(condition) {
      while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    unsubscribe,
  };
}
