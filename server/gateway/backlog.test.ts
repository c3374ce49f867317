import { setImmediate as passOver } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FakeWire } from "../testing/fake-wire.ts";
import { Backlog } from "./backlog.ts";
import { Outbox } from "./outbox.ts";
import { openEvent } from "./protocol/frames.ts";

const KIB = 1_024;
const WAITING_BYTES = 1_024 * KIB;

/** Connections that may each have far more waiting than all together. */
const setup = (connections: number) => {
  const backlog = new Backlog({ waitingBytes: WAITING_BYTES }, () => connections);
  const limits = { dropAboveBytes: 100 * WAITING_BYTES, closeAboveBytes: 100 * WAITING_BYTES };
  const peers = Array.from({ length: connections }, () => {
    const wire = new FakeWire();
    return { wire, outbox: new Outbox(wire, limits, backlog) };
  });
  /** What the sockets hold for themselves. */
  const heldBytes = () => peers.reduce((sum, { wire }) => sum + wire.bufferedBytes(), 0);
  return { backlog, peers, heldBytes };
};

const event = (n: number, bytes: number) => openEvent("chat", { n, text: "x".repeat(bytes) });

describe("Backlog", () => {
  it("bounds what waits in the process: those who have the most waiting are closed, the others lose nothing", async () => {
    const { backlog, peers, heldBytes } = setup(10);
    const [reader, ...stuck] = peers;
    const greedy = stuck.at(-1);
    for (const { wire } of stuck) wire.stall();
    for (let n = 1; n <= 200; n++) {
      for (const { outbox } of peers) outbox.event(event(n, KIB), false);
      greedy?.outbox.frame(JSON.stringify("x".repeat(KIB)));
      await passOver();
      expect(backlog.bytes).toBeLessThanOrEqual(WAITING_BYTES);
    }
    const all = Array.from({ length: 200 }, (_, i) => [i + 1, i + 1]);
    expect(reader?.wire.numbers()).toEqual(all);
    expect(greedy?.wire.closed).toEqual([[1008, "slow consumer"]]);
    const spared = stuck.filter(({ outbox }) => outbox.isOpen);
    expect(spared.length).toBeGreaterThan(2);
    for (const { wire } of spared) {
      wire.resume();
      expect(wire.numbers()).toEqual(all);
    }
    expect(backlog.bytes).toBe(heldBytes());
  });

  it("what waits for many is there once", async () => {
    const { backlog, peers } = setup(50);
    for (const { wire } of peers) wire.stall();
    for (let n = 1; n <= 200; n++) {
      const told = event(n, KIB);
      for (const { outbox } of peers) outbox.event(told, false);
      await passOver();
    }
    expect(backlog.bytes).toBeLessThan(WAITING_BYTES);
    expect(peers.every(({ outbox }) => outbox.isOpen)).toBe(true);
  });

  it("sockets that all stop reading at once hold no more of their own than the process may", async () => {
    const connections = 200;
    const { peers, heldBytes } = setup(connections);
    for (const { wire } of peers) wire.stall();
    for (let n = 1; n <= 50; n++) {
      const told = event(n, KIB);
      for (const { outbox } of peers) outbox.event(told, false);
    }
    await passOver();
    // 10 MB were told; what is not in the sockets' hands is shared by them.
    expect(heldBytes()).toBeGreaterThan(connections * KIB);
    expect(heldBytes()).toBeLessThanOrEqual(WAITING_BYTES);
    expect(peers.every(({ outbox }) => outbox.isOpen)).toBe(true);
  });

  it("cuts a connection that must be closed but holds too much to be told so", async () => {
    const { backlog, peers } = setup(4);
    const [large, small] = peers as [(typeof peers)[0], (typeof peers)[0]];
    for (const { wire } of [large, small]) wire.stall();
    large.outbox.frame("x".repeat(WAITING_BYTES));
    small.outbox.event(event(1, KIB), false);
    await passOver();
    expect(large.wire.terminated).toBe(true);
    expect(small.wire.closed).toEqual([]);
    expect(backlog.bytes).toBe(small.wire.bufferedBytes());
  });
});
