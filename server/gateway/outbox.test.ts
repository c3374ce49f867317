import { setImmediate as passOver } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FakeWire } from "../testing/fake-wire.ts";
import { Backlog } from "./backlog.ts";
import { Outbox } from "./outbox.ts";
import { openEvent } from "./protocol/frames.ts";

const setup = () => {
  const backlog = new Backlog({ waitingBytes: 1_000_000 }, () => 1);
  const connect = () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, { dropAboveBytes: 200, closeAboveBytes: 2_000 }, backlog);
    return { wire, outbox };
  };
  return { backlog, connect, ...connect() };
};

const event = (n: number | string) => openEvent("chat", { n });

describe("Outbox", () => {
  it("numbers events from 1 and not the responses between them, in the order in which they were told", async () => {
    const { wire, outbox } = setup();
    outbox.event(event(1), true);
    outbox.frame(JSON.stringify({ type: "res" }));
    outbox.event(event(2), false);
    await passOver();
    expect(wire.received.map(({ type, seq }) => [type, seq])).toEqual([
      ["event", 1],
      ["res", undefined],
      ["event", 2],
    ]);
  });

  it("sends what gathers in one pass of the event loop in one write", async () => {
    const { wire, outbox } = setup();
    for (let n = 1; n <= 20; n++) outbox.event(event(n), false);
    expect(wire.writes).toHaveLength(0);
    await passOver();
    expect(wire.writes).toHaveLength(1);
    expect(wire.numbers()).toEqual(Array.from({ length: 20 }, (_, i) => [i + 1, i + 1]));
  });

  it("each connection has its own numbers and its own events, though they share the bytes of those told alike", async () => {
    const { connect } = setup();
    const [all, odd, late] = [connect(), connect(), connect()];
    for (let n = 1; n <= 999; n++) {
      const told = event(n);
      all.outbox.event(told, false);
      if (n % 2 === 1) odd.outbox.event(told, false);
      if (n > 900) late.outbox.event(told, false);
      if (n % 9 === 0) await passOver();
    }
    expect(all.wire.numbers()).toEqual(Array.from({ length: 999 }, (_, i) => [i + 1, i + 1]));
    expect(odd.wire.numbers()).toEqual(Array.from({ length: 500 }, (_, i) => [i + 1, 2 * i + 1]));
    expect(late.wire.numbers()).toEqual(Array.from({ length: 99 }, (_, i) => [i + 1, i + 901]));
  });

  it("texts of every length and alphabet arrive as they were", async () => {
    const { connect } = setup();
    for (const length of [0, 20, 125, 126, 65_000, 65_536, 200_000]) {
      const { wire, outbox } = connect();
      const text = "ü€😀".repeat(length / 4);
      outbox.event(event(text), false);
      outbox.frame(JSON.stringify({ payload: { n: text } }));
      await passOver();
      expect(wire.received.map(({ payload }) => payload?.n)).toEqual([text, text]);
    }
  });

  it("what a socket keeps that has stopped reading is not overwritten by what others are told", async () => {
    const { connect } = setup();
    const [slow, fast] = [connect(), connect()];
    slow.wire.stall();
    for (let n = 1; n <= 2; n++) {
      const told = event(n);
      for (const { outbox } of [slow, fast]) outbox.event(told, false);
      fast.outbox.event(event("more"), false);
      await passOver();
    }
    slow.wire.resume();
    expect(slow.wire.numbers()).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it("says that its socket does not keep up until the kernel has taken all, and then sends what waited", async () => {
    const { wire, outbox } = setup();
    wire.stall();
    expect(outbox.keepsUp).toBe(true);
    outbox.event(event(1), false);
    await passOver();
    expect(outbox.keepsUp).toBe(false);
    outbox.event(event(2), false);
    await passOver();
    expect(wire.writes).toHaveLength(1);
    wire.resume();
    expect(outbox.keepsUp).toBe(true);
    expect(wire.numbers()).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it("knows by its client's answers to pings how much is on its way to it", async () => {
    const { backlog } = setup();
    let pings = 0;
    const wire = new FakeWire({ ping: () => pings++ });
    const outbox = new Outbox(wire, { dropAboveBytes: 2e6, closeAboveBytes: 2e6 }, backlog);
    const tell = async (bytes: number) => {
      outbox.event(event("x".repeat(bytes)), false);
      await passOver();
    };
    let again = 0;
    await tell(100_000);
    expect([pings, outbox.keepsUp]).toEqual([0, true]);
    await tell(100_000);
    await tell(100_000);
    // The kernel took all of it; whether the client did is asked once.
    expect([pings, outbox.keepsUp]).toEqual([1, false]);
    outbox.onceKeepsUp(() => again++);
    outbox.arrived();
    expect([again, outbox.keepsUp]).toEqual([1, true]);
    // What is written while a ping is on its way is asked for once that has been answered.
    await tell(100_000);
    await tell(300_000);
    expect([pings, outbox.keepsUp]).toEqual([2, false]);
    outbox.arrived();
    await passOver();
    expect([pings, outbox.keepsUp]).toEqual([3, false]);
    outbox.arrived();
    expect([again, outbox.keepsUp]).toEqual([1, true]);
  });

  it("skips droppable events of a slow consumer and leaves a hole in seq, but not those that carry the truth", async () => {
    const { wire, outbox } = setup();
    wire.stall();
    for (let n = 1; n <= 6; n++) outbox.event(event(n), false);
    await passOver();
    expect(outbox.waitingBytes).toBeGreaterThan(200);
    expect(outbox.event(event(7), true)).toBe("dropped");
    expect(outbox.event(event(8), false)).toBe("sent");
    wire.resume();
    expect(outbox.event(event(9), true)).toBe("sent");
    await passOver();
    expect(wire.numbers().slice(-3)).toEqual([
      [6, 6],
      [8, 8],
      [9, 9],
    ]);
  });

  it("does not read from a client that leaves too much unread", async () => {
    const { wire, outbox } = setup();
    wire.stall();
    outbox.frame(JSON.stringify({ payload: { n: "x".repeat(150) } }));
    await passOver();
    expect(wire.isRead).toBe(true);
    outbox.frame(JSON.stringify({ payload: { n: "x".repeat(150) } }));
    await passOver();
    expect(wire.isRead).toBe(false);
    wire.resume();
    expect(wire.isRead).toBe(true);
  });

  it("closes a consumer that reads nothing with 1008, and sends it nothing more", async () => {
    const { wire, outbox } = setup();
    wire.stall();
    let told = 0;
    while (outbox.event(event(told + 1), false) === "sent") told++;
    outbox.frame(JSON.stringify({ type: "res" }));
    outbox.close(1000, "again");
    await passOver();
    expect(told).toBeGreaterThan(2);
    expect(wire.closed).toEqual([[1008, "slow consumer"]]);
    expect(outbox.waitingBytes).toBe(wire.bufferedBytes());
  });

  it("what was told before a close is sent before it", () => {
    const { wire, outbox } = setup();
    outbox.event(event(1), false);
    outbox.close(1012, "service restart");
    expect(wire.numbers()).toEqual([[1, 1]]);
    expect(wire.closed).toEqual([[1012, "service restart"]]);
  });
});
