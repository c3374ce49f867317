import { describe, expect, it } from "vitest";
import { Outbox, type Wire } from "./outbox.ts";
import { openEvent } from "./protocol/frames.ts";

const setup = () => {
  const sent: { seq?: number; payload: { n: number } }[] = [];
  const closed: [number, string][] = [];
  const peer = { buffered: 0 };
  const wire: Wire = {
    send: (text) => void sent.push(JSON.parse(text) as (typeof sent)[number]),
    bufferedBytes: () => peer.buffered,
    close: (code, reason) => void closed.push([code, reason]),
    terminate: () => undefined,
  };
  const outbox = new Outbox(wire, { dropAboveBytes: 100, closeAboveBytes: 1_000 });
  const event = (n: number) => openEvent("chat", { n });
  return { sent, closed, peer, outbox, event };
};

describe("Outbox", () => {
  it("numbers events from 1 and not the responses between them", () => {
    const { sent, outbox, event } = setup();
    outbox.event(event(1), true);
    outbox.frame(JSON.stringify({ type: "res" }));
    outbox.event(event(2), false);
    expect(sent.map(({ seq }) => seq)).toEqual([1, undefined, 2]);
  });

  it("skips droppable events of a slow consumer and leaves a hole in seq, but not those that carry the truth", () => {
    const { sent, peer, outbox, event } = setup();
    peer.buffered = 101;
    expect(outbox.event(event(1), true)).toBe("dropped");
    expect(outbox.event(event(2), false)).toBe("sent");
    peer.buffered = 0;
    expect(outbox.event(event(3), true)).toBe("sent");
    expect(sent.map(({ seq, payload }) => [seq, payload.n])).toEqual([
      [2, 2],
      [3, 3],
    ]);
  });

  it("closes a consumer that reads nothing with 1008, and sends it nothing more", () => {
    const { sent, closed, peer, outbox, event } = setup();
    peer.buffered = 1_001;
    expect(outbox.event(event(1), false)).toBe("closed");
    outbox.frame(JSON.stringify({ type: "res" }));
    outbox.close(1000, "again");
    expect(sent).toEqual([]);
    expect(closed).toEqual([[1008, "slow consumer"]]);
  });
});
