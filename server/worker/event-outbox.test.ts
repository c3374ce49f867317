import { describe, expect, it } from "vitest";
import { agentId, runId, sessionKey, tenantId } from "../core/ids.ts";
import { attemptOfRunSeq, placeOfRunSeq, type RunEvent, type RunEventBody } from "../core/run-event.ts";
import { textOf } from "../testing/memory-pool.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { eventOutbox, REPLACE_EVERY } from "./event-outbox.ts";

const owner = {
  tenant: tenantId("acme"),
  sessionKey: sessionKey("agent:main:main"),
  agentId: agentId("main"),
  runId: runId("run-1"),
  token: 7,
  attempt: 1,
};

const types = (events: readonly RunEvent[]): string[] => events.map(({ body }) => body.type);

describe("the outbox of a run's events", () => {
  it("numbers from 1 when a batch is made, so that coalesced text leaves no gap", () => {
    const outbox = eventOutbox(owner, { text: "" });
    for (const text of ["a", "b", "c"]) outbox.push({ type: "delta", text });
    outbox.push({ type: "tool", phase: "start", toolCallId: "1", name: "t" });
    outbox.push({ type: "delta", text: "d" });
    const batch = outbox.batch(1);
    expect(batch.map(({ runSeq, body }) => [runSeq, body.type])).toEqual([
      [1, "started"],
      [2, "delta"],
      [3, "tool"],
      [4, "delta"],
    ]);
    expect(textOf(batch)).toBe("abcd");
  });

  it("gives out a batch of unknown outcome again, unchanged, until it is confirmed", () => {
    const outbox = eventOutbox(owner, { text: "" });
    outbox.push({ type: "delta", text: "one" });
    const first = outbox.batch(1);
    outbox.push({ type: "delta", text: " two" });
    outbox.doubt();
    expect(outbox.batch(2)).toBe(first);
    outbox.confirm();
    const second = outbox.batch(3);
    expect(second.map(({ runSeq, body }) => [runSeq, body])).toEqual([
      [3, { type: "replace", text: "one two" }],
    ]);
    outbox.confirm();
    expect(outbox.isEmpty()).toBe(true);
  });

  it("repeats the whole text every so many events", () => {
    const outbox = eventOutbox(owner, { text: "" });
    const events: RunEvent[] = [];
    for (let i = 0; i < REPLACE_EVERY * 3; i++) {
      outbox.push({ type: "delta", text: String(i % 10) });
      events.push(...outbox.batch(1));
      outbox.confirm();
    }
    const anchors = events.filter(({ body }) => body.type === "replace" || body.type === "started");
    expect(anchors.length).toBeGreaterThanOrEqual(3);
    for (const anchor of anchors) {
      expect(textOf(events.filter(({ runSeq }) => runSeq <= anchor.runSeq))).toBe(textOf([anchor]));
      const from = events.filter(({ runSeq }) => runSeq >= anchor.runSeq);
      expect(textOf(from)).toBe(outbox.text());
    }
  });

  it("drops what waits too long, but not the text and not the end", () => {
    const outbox = eventOutbox(owner, { text: "" });
    outbox.batch(1);
    outbox.doubt();
    for (let i = 0; i < 2_000; i++) {
      outbox.push({ type: "delta", text: "x" });
      outbox.push({ type: "tool", phase: "update", toolCallId: "1", name: "t" });
    }
    outbox.push({ type: "final", text: "x".repeat(2_000), stopReason: "stop" });
    outbox.confirm();
    const batch = outbox.batch(2);
    expect(batch.length).toBeLessThan(520);
    expect(types(batch).at(0)).toBe("replace");
    expect(types(batch).at(-1)).toBe("final");
    expect(textOf(batch)).toBe("x".repeat(2_000));
  });

  it("ends on the result's text, whatever was emitted before", () => {
    const outbox = eventOutbox(owner, { text: "" });
    outbox.push({ type: "delta", text: "something else" });
    outbox.push({ type: "final", text: "the result", stopReason: "stop" });
    expect(textOf(outbox.batch(1))).toBe("the result");
  });

  it("begins a later attempt with the text as it stands", () => {
    const outbox = eventOutbox({ ...owner, attempt: 3 }, { text: "so far" });
    outbox.push({ type: "delta", text: ", so good" });
    const batch = outbox.batch(1);
    expect(attemptOfRunSeq(batch[0]!.runSeq)).toBe(3);
    expect(placeOfRunSeq(batch[0]!.runSeq)).toBe(1);
    expect(textOf(batch)).toBe("so far, so good");
  });

  it("keeps numbers gap-free and the follower's text right, over any sequence of events and failures", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const outbox = eventOutbox(owner, { text: "" });
      const stored = new Map<number, RunEvent>();
      const live: RunEvent[] = [];
      /** Events that came again under a number that told of something else. */
      const changed: RunEvent[] = [];
      let text = "";
      const publish = (): void => {
        const batch = outbox.batch(0);
        const luck = random.float();
        if (luck >= 0.3) {
          // Arrived; followers drop what they have.
          for (const event of batch) {
            if ((stored.get(event.runSeq) ?? event) !== event) changed.push(event);
            if (!stored.has(event.runSeq)) live.push(event);
            stored.set(event.runSeq, event);
          }
        }
        if (luck < 0.5) outbox.doubt();
        else outbox.confirm();
      };
      for (let i = 0; i < 60; i++) {
        const word = `w${i} `;
        const choice = random.float();
        let body: RunEventBody = { type: "delta", text: word };
        if (choice < 0.1) body = { type: "replace", text: word };
        else if (choice < 0.2) body = { type: "thinking", text: word };
        outbox.push(body);
        if (body.type === "delta") text += word;
        if (body.type === "replace") text = word;
        if (random.float() < 0.5) publish();
      }
      outbox.push({ type: "final", text, stopReason: "stop" });
      while (!outbox.isEmpty()) publish();
      expect(live.map(({ runSeq }) => runSeq)).toEqual(live.map((_event, i) => i + 1));
      expect(changed).toEqual([]);
      expect(textOf(live)).toBe(text);
      expect(live.at(-1)?.body.type).toBe("final");
    }
  });
});
