import type { Clock } from "../../server/ports/clock.ts";
import type { ChaosClient } from "./client.ts";
import type { Action, TrafficPlan } from "./plan.ts";

/**
 * Carries the plan out: every action at its time, whatever became of those before it. Resolves when the last one has
 * begun; how they end is the clients' business.
 */
export async function driveTraffic(
  plan: TrafficPlan,
  clients: readonly ChaosClient[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = clock.monotonic();
  for (const action of plan.actions) {
    await clock.sleep(startedAt + action.atMs - clock.monotonic(), signal);
    if (signal.aborted) return;
    // What goes wrong on the wire is in the history; nothing here rejects.
    void begin(action, clients, clock, signal);
  }
}

async function begin(
  action: Action,
  clients: readonly ChaosClient[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const at = (n: number): ChaosClient => {
    const client = clients[n];
    if (client === undefined) throw new Error(`the plan names client ${n} of ${clients.length}`);
    return client;
  };
  switch (action.kind) {
    case "history":
      return at(action.client).history(action.sessionKey);
    case "cron":
      return at(action.client).schedule(action.message, action.dueAfterMs);
    case "reordered": {
      const [first, second] = action.messages;
      await Promise.all([at(action.clients[0]).send(first), at(action.clients[1]).send(second)]);
      return;
    }
    case "send": {
      const { abortAfterMs, conflict, follower, loseAnswer, message, twin } = action;
      const sender = at(action.client);
      if (follower !== null) at(follower).watch(message.key, message.sessionKey);
      const accepted = sender.send(message);
      if (twin !== null) void at(twin).send(message);
      if (loseAnswer) sender.drop();
      if (!(await accepted) || signal.aborted) return;
      if (follower !== null) at(follower).follow(message.key);
      if (conflict !== null) void sender.conflict(conflict);
      if (abortAfterMs === null) return;
      await clock.sleep(abortAfterMs, signal);
      if (!signal.aborted) await sender.abort(message.sessionKey, message.key);
    }
  }
}
