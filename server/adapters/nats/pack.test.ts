import { expect, it } from "vitest";
import { unpackEvents } from "../../core/event-batch.ts";
import { writer } from "../../ports/contract/event-follower.ts";
import { packWithin } from "./pack.ts";

const run = writer();

it("packs what fits into one message", () => {
  const { messages, tooLarge } = packWithin(run.range(1, 20), 8_192);
  expect(messages.map(({ text }) => unpackEvents(text))).toEqual([run.range(1, 20)]);
  expect(messages[0]).toMatchObject({ token: 1, runId: "run-1", lastSeq: 20 });
  expect(tooLarge).toEqual([]);
});

it("cuts what does not fit, in order, and leaves out an event that no message can carry", () => {
  const events = [
    ...run.range(1, 3),
    run.at(4, { type: "delta", text: "🦞".repeat(500) }),
    ...run.range(5, 6),
  ];
  const { messages, tooLarge } = packWithin(events, 1_024 + 300);
  expect(messages.flatMap(({ text }) => unpackEvents(text))).toEqual([
    ...run.range(1, 3),
    ...run.range(5, 6),
  ]);
  expect(messages.every(({ text }) => Buffer.byteLength(text) <= 300)).toBe(true);
  expect(tooLarge).toEqual([4]);
});

it("keeps runs and grants apart", () => {
  const next = writer({ run: "run-2", token: 2 });
  const { messages } = packWithin([...run.range(1, 2), ...next.range(1, 1)], 8_192);
  expect(messages.map(({ runId, token, lastSeq }) => [runId, token, lastSeq])).toEqual([
    ["run-1", 1, 2],
    ["run-2", 2, 1],
  ]);
});
