import { judge } from "../judge.ts";
import { evidenceOf } from "./evidence.ts";
import { isEnd, type TrafficRecord } from "./record.ts";

/**
 * What a crash test expects beyond the promises, which the validators judge: that its messages are answered in the end,
 * whatever was done to the deployment. One sentence for each place where it was otherwise.
 */
export type Expectation = (record: TrafficRecord) => string[];

/** Each message was acknowledged, and none refused. */
export const everySendIsAcknowledged: Expectation = ({ sent }) =>
  sent.flatMap(({ key, acks, refusals }) => [
    ...refusals.map((refusal) => `everySendIsAcknowledged: ${key} was refused: ${refusal}`),
    ...(acks.length === 0 ? [`everySendIsAcknowledged: ${key} was never acknowledged`] : []),
  ]);

/** Each acknowledged run succeeded; row and event hold the whole answer to its words. */
export const everyAnswerIsWhole: Expectation = ({ heard, runs, sent }) => {
  const stored = new Map(runs.map((run) => [run.runId, run]));
  return sent
    .filter(({ acks }) => acks.length > 0)
    .flatMap(({ key, words }) => {
      const run = stored.get(key);
      if (run?.status !== "succeeded")
        return [`everyAnswerIsWhole: ${key} is ${run?.status ?? "unknown"}, not succeeded`];
      const expected = `You said: ${words}\n\n(This is the built-in demo model.`;
      const texts = heard.filter((event) => event.runId === key && isEnd(event)).map(({ text }) => text);
      return [run.text, ...texts]
        .filter((text) => !text?.startsWith(expected) || !text.endsWith(")"))
        .map(
          (text) => `everyAnswerIsWhole: ${key} ended with ${JSON.stringify(text?.slice(0, 120) ?? null)}`,
        );
    });
};

export const EVERY_EXPECTATION: readonly Expectation[] = [everySendIsAcknowledged, everyAnswerIsWhole];

/** All that is wrong with a record: broken promises by name, and what the test expected besides. */
export const violationsOf = (record: TrafficRecord, expectations = EVERY_EXPECTATION): string[] => [
  ...judge(evidenceOf(record)).promises.flatMap(({ name, violations }) =>
    violations.map(({ what }) => `${name}: ${what}`),
  ),
  ...expectations.flatMap((expectation) => expectation(record)),
];
