import { judgeAnswer, messageText } from "./answer.ts";
import {
  type ChatEvent,
  type Connection,
  CONNECTION_LOST,
  openConnection,
  type Reply,
} from "./connection.ts";
import { type Failure, unplanned } from "./failure.ts";
import {
  countClient,
  countEnded,
  countFailure,
  countRequest,
  countSent,
  observe,
  type Tags,
} from "./metrics.ts";
import type { Group, Plan, PlannedTenant } from "./plan.ts";
import { hear, newRun, type Run, type Session } from "./run.ts";
import { schedule, totalSeconds, uniform } from "./schedule.ts";

/** Turns after which a client begins another conversation: contexts that only grow would measure the model. */
const TURNS_MAX = 8;
/** Between two tries to connect; the first follows at once. */
const RECONNECT_MS = [0, 50, 200, 500, 1_000];
const FOLLOW_AGAIN_MS = 200;
/** How often a client looks for runs that take too long. */
const WATCH_MS = 1_000;
const HISTORY_ROWS = 20;
/** Messages of an aborted run go on for so long, so that there is something to abort. */
const ABORTED = { latencyMs: 50, chunks: 100, delayMs: 100, paddingBytes: 0 };

/**
 * One user of the service: holds a connection, sends its messages when they are due, reads the answers, and after a
 * broken connection repeats what was not acknowledged and follows what was. It ends by itself, and never throws.
 */
export function startClient(plan: Plan, group: Group, index: number, loadBeganAt: number): void {
  const tenant = plan.tenants[group.tenants[index % group.tenants.length] ?? 0] as PlannedTenant;
  const name = `${plan.seed}-${group.name}-${index}`;
  const random = uniform(name);
  const due = schedule(group.stages, group.clients, name);
  const loadEndsAt = loadBeganAt + totalSeconds(group.stages) * 1_000;
  const atRest: Tags = { class: group.name, phase: group.stages[0]?.phase ?? "" };

  const open = new Map<string, Run>();
  const idle: Session[] = [];
  const subscribed = new Set<string>();
  let sessions = 0;
  let messages = 0;
  let connection: Connection | null = null;
  let failedConnects = 0;
  let over = false;

  // --- connection -----------------------------------------------------------------------------------------------------

  const connect = (): void => {
    const beganAt = Date.now();
    countRequest("connect", atRest);
    openConnection({ url: tenant.url, token: tenant.token, onChat, onLost }, (result) => {
      if ("failure" in result) {
        countFailure(result.failure, "connect", atRest);
        return later(connect);
      }
      connection = result.connection;
      subscribed.clear();
      failedConnects = 0;
      observe("connect", Date.now() - beganAt, atRest);
      if (over) return connection.close();
      for (const run of open.values()) resume(run);
    });
  };

  const later = (next: () => void): void => {
    const pause = RECONNECT_MS[Math.min(failedConnects++, RECONNECT_MS.length - 1)] ?? 0;
    setTimeout(() => {
      if (!over) next();
    }, pause);
  };

  const onLost = (failure: Failure | null): void => {
    connection = null;
    if (over) return;
    if (failure !== null) countFailure(failure, "connect", atRest);
    const now = Date.now();
    for (const run of open.values()) run.cutAt ??= now;
    later(connect);
  };

  /** After a reconnect: the same key again for what was not acknowledged, the missing events for what was. */
  const resume = (run: Run): void => {
    if (run.ackedAt === null) return submit(run);
    const params = { runId: run.key, sessionKey: run.session.key, afterRunSeq: run.streamed.lastRunSeq };
    countRequest("follow", run.tags);
    connection?.request("openclaw-ha.runs.follow", params, ({ failure }) => {
      if (failure === null || failure === CONNECTION_LOST) return;
      countFailure(failure, "follow", run.tags);
      // The run goes on whether or not it can be followed now.
      if (failure.kind !== "client") setTimeout(() => open.has(run.key) && resume(run), FOLLOW_AGAIN_MS);
    });
  };

  // --- messages -------------------------------------------------------------------------------------------------------

  const sendNext = (): void => {
    const next = due.next();
    if (next.done === true || over) return;
    const { atMs, phase } = next.value;
    setTimeout(
      () => {
        begin(loadBeganAt + atMs, phase);
        sendNext();
      },
      Math.max(0, loadBeganAt + atMs - Date.now()),
    );
  };

  const begin = (dueAt: number, phase: string): void => {
    if (over) return;
    const tags: Tags = { class: group.name, phase };
    const chance = random();
    const { abort, history } = group.mix;
    const wants = chance < abort ? "abort" : chance < abort + history ? "history" : "answer";
    const session = idle.shift() ?? { key: `load-${name}-${++sessions}`, turns: 0 };
    const shape = wants === "abort" ? ABORTED : group.message;
    const text = (marks: Run["marks"]): string => messageText(marks, shape);
    const run = newRun({ key: `${name}-${++messages}`, session, dueAt, tags, wants, text });
    open.set(run.key, run);
    countRequest("send", tags);
    countSent(tags);
    if (connection === null) return;
    observe("lag", Date.now() - dueAt, tags);
    submit(run);
  };

  const submit = (run: Run): void => {
    const { session, key } = run;
    subscribe(session);
    const params = { sessionKey: session.key, message: run.text, idempotencyKey: key };
    connection?.request("chat.send", params, ({ failure, payload }) => {
      if (failure === CONNECTION_LOST) return;
      if (failure !== null) return end(run, failure);
      run.ackedAt = Date.now();
      observe("ack", run.ackedAt - run.dueAt, run.tags);
      // An earlier connection made it, and this one has not heard what was told meanwhile.
      if (payload["status"] !== "started" && open.has(key)) resume(run);
    });
  };

  /** Once a connection, and before the send, so that nothing is missed. */
  const subscribe = ({ key }: Session): void => {
    if (subscribed.has(key)) return;
    subscribed.add(key);
    connection?.request("sessions.messages.subscribe", { key }, ({ failure }) => {
      if (failure !== null && failure !== CONNECTION_LOST) countFailure(failure, "subscribe", atRest);
    });
  };

  const onChat = (event: ChatEvent): void => {
    const run = open.get(event.runId);
    // The last words of a run that has timed out here; anything else is a run of somebody else.
    if (run === undefined) {
      if (!event.runId.startsWith(`${name}-`)) countFailure(unplanned("foreign-run"), "send", atRest);
      return;
    }
    const ended = hear(run, event, Date.now());
    if (ended !== null) return end(run, ended.failure);
    if (run.wants === "abort" && run.firstDelta && run.abortAskedAt === null) abort(run);
  };

  const abort = (run: Run): void => {
    run.abortAskedAt = Date.now();
    countRequest("abort", run.tags);
    connection?.request("chat.abort", { sessionKey: run.session.key, runId: run.key }, ({ failure }) => {
      if (failure !== null && failure !== CONNECTION_LOST) countFailure(failure, "abort", run.tags);
    });
  };

  const end = (run: Run, failure: Failure | null): void => {
    if (!open.delete(run.key)) return;
    if (failure !== null) countFailure(failure, "send", run.tags);
    else countEnded(run.tags);
    if (failure === null && run.wants === "history") readBack(run);
    leave(run.session);
    endWhenDone();
  };

  const leave = (session: Session): void => {
    if (++session.turns < TURNS_MAX) return void idle.push(session);
    subscribed.delete(session.key);
    connection?.request("sessions.messages.unsubscribe", { key: session.key }, () => undefined);
  };

  /** What has been answered must be in the session, whichever gateway is asked. */
  const readBack = (run: Run): void => {
    const askedAt = Date.now();
    const params = { sessionKey: run.session.key, limit: HISTORY_ROWS };
    countRequest("history", run.tags);
    connection?.request("chat.history", params, (reply: Reply) => {
      if (reply.failure === CONNECTION_LOST) return;
      const failure = reply.failure ?? historyFailure(run, reply.payload["messages"]);
      if (failure !== null) countFailure(failure, "history", run.tags);
      else observe("history", Date.now() - askedAt, run.tags);
    });
  };

  // --- time -----------------------------------------------------------------------------------------------------------

  const watch = setInterval(() => {
    const now = Date.now();
    for (const run of open.values()) {
      if (now - run.dueAt > plan.runTimeoutMs) end(run, unplanned("no-end"));
    }
    endWhenDone();
    if (!over && now > loadEndsAt + plan.drainSeconds * 1_000) {
      for (const run of open.values()) end(run, unplanned("no-end"));
      finish();
    }
  }, WATCH_MS);

  const endWhenDone = (): void => {
    // One second more, for the reads that follow the last answer.
    if (open.size === 0 && Date.now() > loadEndsAt + WATCH_MS) finish();
  };

  const finish = (): void => {
    if (over) return;
    over = true;
    clearInterval(watch);
    clearTimeout(breaking);
    countClient(atRest);
    connection?.close();
  };

  let breaking: ReturnType<typeof setTimeout> | undefined;
  const breakEvery = (everyMs: number, firstMs: number): void => {
    breaking = setTimeout(() => {
      if (over || Date.now() > loadEndsAt) return;
      connection?.close();
      breakEvery(everyMs, everyMs);
    }, firstMs);
  };

  const startsInMs = (index / group.clients) * plan.connectSeconds * 900;
  setTimeout(() => {
    connect();
    sendNext();
  }, startsInMs);
  if (group.reconnect !== null) {
    const everyMs = group.reconnect.everySeconds * 1_000;
    const share = group.reconnect.together ? 1 : random() || 1;
    breakEvery(everyMs, loadBeganAt - Date.now() + everyMs * share);
  }
}

function historyFailure({ marks }: Run, messages: unknown): Failure | null {
  const text = JSON.stringify(messages ?? []);
  const wrong = judgeAnswer(text, marks);
  if (wrong === "foreign-text") return unplanned("foreign-history");
  // Twice: in the question and in the answer.
  return text.split(marks.mark).length > 2 ? null : unplanned("history-lacks-answer");
}
