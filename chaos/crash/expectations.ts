import {
  isEnd,
  markOf,
  type ModelCall,
  type SentMessage,
  type StoredRun,
  type TrafficRecord,
} from "./record.ts";

/** A promise, judged on a record: one sentence for each place where it was broken. */
export type Expectation = (record: TrafficRecord) => string[];

const TERMINAL = new Set(["succeeded", "failed", "timed_out", "aborted", "dead"]);

/** Each message was acknowledged, and none refused. */
export const everySendIsAcknowledged: Expectation = ({ sent }) =>
  sent.flatMap(({ key, acks, refusals }) => [
    ...refusals.map((refusal) => `${key} was refused: ${refusal}`),
    ...(acks.length === 0 ? [`${key} was never acknowledged`] : []),
  ]);

/** Each acknowledged run has a terminal row, and exactly one terminal event reached the client. */
export const everyAcknowledgedRunEndsOnce: Expectation = ({ heard, runs, sent }) => {
  const stored = byId(runs);
  return acknowledged(sent).flatMap(({ client, key }) => {
    const run = stored.get(key);
    if (run === undefined) return [`${key} was acknowledged and is not in Postgres`];
    const ends = heard.filter((event) => event.client === client && event.runId === key && isEnd(event));
    return [
      ...(TERMINAL.has(run.status) ? [] : [`${key} is ${run.status}`]),
      ...(ends.length === 1 ? [] : [`${client} heard ${ends.length} ends of ${key}`]),
    ];
  });
};

/** Each acknowledged run succeeded, and event, row and words agree on the text. */
export const everyAnswerIsWhole: Expectation = ({ heard, runs, sent }) => {
  const stored = byId(runs);
  return acknowledged(sent).flatMap(({ key, words }) => {
    const run = stored.get(key);
    if (run?.status !== "succeeded") return [`${key} is ${run?.status ?? "unknown"}, not succeeded`];
    const expected = `You said: ${words}\n\n(This is the built-in demo model.`;
    const texts = heard.filter((event) => event.runId === key && isEnd(event)).map(({ text }) => text);
    return [run.text, ...texts]
      .filter((text) => !text?.startsWith(expected) || !text.endsWith(")") || text !== run.text)
      .map((text) => `${key} ended with ${JSON.stringify(text?.slice(0, 120) ?? null)}`);
  });
};

/**
 * Runs of a session have the order of their acknowledgements: what was acknowledged before another was sent comes
 * first, and so does, on one connection, what was acknowledged first as new.
 */
export const ordersFollowAcks: Expectation = ({ runs, sent }) => {
  const order = new Map(runs.map((run) => [run.runId, run.runOrder]));
  return perSession(acknowledged(sent)).flatMap((messages) =>
    pairs(messages).flatMap(([a, b]) => {
      const before = ackedBeforeSent(a, b) || madeBefore(a, b);
      return before && Number(order.get(a.key)) >= Number(order.get(b.key))
        ? [`${a.key} was acknowledged before ${b.key} and comes after it`]
        : [];
    }),
  );
};

/** A transcript holds each run once, user row and then answer, in the order of the runs, as one chain. */
export const transcriptsAreOneChain: Expectation = ({ rows, runs }) => {
  const found: string[] = [];
  const stored = byId(runs);
  for (const transcript of perSession(rows)) {
    const users = transcript.filter(({ role }) => role === "user").map(({ runId }) => runId);
    const inOrder = perSession(runs)
      .find(([run]) => run?.sessionKey === transcript[0]?.sessionKey)
      ?.toSorted((a, b) => a.runOrder - b.runOrder)
      .map(({ runId }) => runId);
    if (users.join() !== inOrder?.join()) {
      found.push(`user rows ${users.join()} are not the runs ${inOrder?.join()}`);
    }
    for (const [i, row] of transcript.entries()) {
      if (row.parentId !== (transcript[i - 1]?.messageId ?? null))
        found.push(`row ${row.seq} has a wrong parent`);
      if (row.role === "user" && stored.get(row.runId)?.status === "succeeded") {
        const next = transcript[i + 1];
        if (next?.role !== "assistant" || next.runId !== row.runId)
          found.push(`${row.runId} has no answer behind it`);
      }
    }
    const answers = transcript.filter(({ role }) => role === "assistant").map(({ runId }) => runId);
    if (new Set(answers).size !== answers.length) found.push(`a run was answered twice: ${answers.join()}`);
  }
  return found;
};

/** The model is asked in the order of the runs, and never for an earlier run again. */
export const modelIsAskedInOrder: Expectation = (record) =>
  callsPerSession(record).flatMap((calls) =>
    calls.flatMap((call, i) => {
      const before = calls[i - 1];
      return before && before.run.runOrder > call.run.runOrder
        ? [`the model was asked for ${call.run.runId} after ${before.run.runId}`]
        : [];
    }),
  );

/** Once per attempt, and so once for all where nothing died: an answer that was stored is never asked for again. */
export const modelIsAskedOncePerAttempt: Expectation = (record) => {
  const counts = new Map<string, number>();
  for (const { run } of callsPerSession(record).flat())
    counts.set(run.runId, (counts.get(run.runId) ?? 0) + 1);
  return record.runs.flatMap(({ attempt, runId, status }) => {
    const count = counts.get(runId) ?? 0;
    if (count > attempt) return [`the model was asked ${count} times in ${attempt} attempts of ${runId}`];
    return count === 0 && status === "succeeded" ? [`${runId} succeeded without the model`] : [];
  });
};

/** No two calls of a session at once, but for the one that a holder who was taken over has left open. */
export const oneModelCallAtATime: Expectation = (record) =>
  callsPerSession(record).flatMap((calls) =>
    pairs(calls).flatMap(([a, b]) => {
      const overlap =
        a.call.startOrder < b.call.startOrder && (a.call.endOrder ?? Infinity) > b.call.startOrder;
      if (!overlap || (a.run.runId === b.run.runId && b.run.attempt > 1)) return [];
      return [`${a.run.runId} was with the model when ${b.run.runId} was asked`];
    }),
  );

/** `runSeq` never goes back for a client and grows with each delta; the last one may carry the number of the end. */
export const runSeqGrows: Expectation = ({ heard }) =>
  perClientAndRun(heard).flatMap((events) =>
    events.flatMap((event, i) => {
      const before = events[i - 1];
      if (before === undefined) return [];
      const grows =
        event.state !== "delta" || before.state !== "delta"
          ? event.runSeq >= before.runSeq
          : event.runSeq > before.runSeq;
      const what = `${event.client}, ${event.runId}`;
      if (isEnd(before)) return [`${what}: ${event.state} after ${before.state}`];
      return grows ? [] : [`${what}: ${event.state} ${event.runSeq} after ${before.state} ${before.runSeq}`];
    }),
  );

/** The deltas since the last replacing one are the text, at each delta and at the end. */
export const deltasAddUp: Expectation = ({ heard }) =>
  perClientAndRun(heard).flatMap((events) => {
    let text = "";
    return events.flatMap((event) => {
      if (event.state === "delta")
        text = event.replace ? String(event.deltaText) : text + String(event.deltaText);
      else if (event.state !== "final") return [];
      if (text === event.text) return [];
      const sizes = `${text.length} characters heard, ${event.text?.length ?? 0} told`;
      return [
        `${event.client}, ${event.runId}: the deltas do not add up at ${event.state} ${event.runSeq}: ${sizes}`,
      ];
    });
  });

/** Everything that is promised of runs that are answered in the end. */
export const EVERY_EXPECTATION: Readonly<Record<string, Expectation>> = {
  everySendIsAcknowledged,
  everyAcknowledgedRunEndsOnce,
  everyAnswerIsWhole,
  ordersFollowAcks,
  transcriptsAreOneChain,
  modelIsAskedInOrder,
  modelIsAskedOncePerAttempt,
  oneModelCallAtATime,
  runSeqGrows,
  deltasAddUp,
};

/** All broken promises, each behind the name of its expectation. */
export const violationsOf = (record: TrafficRecord, expectations = EVERY_EXPECTATION): string[] =>
  Object.entries(expectations).flatMap(([name, expectation]) =>
    expectation(record).map((violation) => `${name}: ${violation}`),
  );

const acknowledged = (sent: readonly SentMessage[]): SentMessage[] =>
  sent.filter(({ acks }) => acks.length > 0);
const byId = (runs: readonly StoredRun[]) => new Map(runs.map((run) => [run.runId, run]));

function perSession<T extends { readonly sessionKey: string }>(things: readonly T[]): T[][] {
  return [...Map.groupBy(things, ({ sessionKey }) => sessionKey).values()];
}

function perClientAndRun<T extends { readonly client: string; readonly runId: string }>(
  heard: readonly T[],
): T[][] {
  return [...Map.groupBy(heard, ({ client, runId }) => `${client} ${runId}`).values()];
}

/** Every ordered pair of different things. */
const pairs = <T>(things: readonly T[]): [T, T][] =>
  things.flatMap((a) => things.filter((b) => b !== a).map((b): [T, T] => [a, b]));

const ackedBeforeSent = (a: SentMessage, b: SentMessage): boolean =>
  a.acks[0] !== undefined && b.sentOrder !== null && a.acks[0].order < b.sentOrder;

function madeBefore(a: SentMessage, b: SentMessage): boolean {
  const made = (message: SentMessage) => message.acks.find(({ status }) => status === "started");
  const [first, second] = [made(a), made(b)];
  return (
    first?.connection === second?.connection &&
    first !== undefined &&
    second !== undefined &&
    first.order < second.order
  );
}

/** The model's calls of each session in the order in which they began, with their runs. */
function callsPerSession({
  calls,
  runs,
}: TrafficRecord): { readonly run: StoredRun; readonly call: ModelCall }[][] {
  const known = runs.map((run) => ({ run, mark: markOf(run.runId) }));
  const matched = calls
    .toSorted((a, b) => a.startOrder - b.startOrder)
    .flatMap((call) => {
      const run = known.find(({ mark }) => call.text.includes(mark))?.run;
      return run === undefined ? [] : [{ run, call, sessionKey: run.sessionKey }];
    });
  return perSession(matched);
}
