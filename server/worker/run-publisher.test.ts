import { describe, expect, it } from "vitest";
import { memoryEventBus } from "../adapters/memory/event-bus.ts";
import { agentId, runId, sessionKey, tenantId } from "../core/ids.ts";
import type { RunEvent, RunEventBody } from "../core/run-event.ts";
import { breakable } from "../testing/breakable.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { textOf } from "../testing/memory-pool.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { newWorkerCounters } from "./metrics.ts";
import { COALESCE_MS, runPublisher } from "./run-publisher.ts";

const owner = (n: number, session = n) => ({
  tenant: tenantId("acme"),
  sessionKey: sessionKey(`agent:main:s${session}`),
  agentId: agentId("main"),
  runId: runId(`run-${n}`),
  token: n,
  attempt: 1,
});
const final = (text: string): RunEventBody => ({ type: "final", text, stopReason: "stop" });

async function setup() {
  const clock = fakeClock();
  const logger = recordingLogger();
  const real = memoryEventBus({ clock, logger });
  const bus = breakable(real);
  const events: RunEvent[] = [];
  await real.subscribe(tenantId("acme"), {
    onEvents: (heard) => void events.push(...heard),
    onNotice: () => {},
    onGap: () => {},
  });
  const counters = newWorkerCounters();
  const publisher = runPublisher({ bus: bus.port, clock, random: seededRandom(1), logger, counters });
  const rounds = (): number => bus.calls.filter((call) => call === "publishMany").length;
  const of = (n: number): RunEvent[] => events.filter((event) => event.runId === `run-${n}`);
  /** Moves the clock; a tick that falls due publishes in the turn after it. */
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await clock.advance(0);
  };
  return { pass, clock, logger, bus, events, counters, publisher, rounds, of, turn: () => clock.advance(0) };
}

describe("the publisher of a worker", () => {
  it("needs two publications for a run that answers at once", async () => {
    const { publisher, rounds, turn, of } = await setup();
    const stream = publisher.open(owner(1), { text: "" });
    stream.emit({ type: "delta", text: "hello" });
    await turn();
    expect(of(1).map(({ body }) => body.type)).toEqual(["started", "delta"]);
    stream.emit({ type: "delta", text: " you" });
    stream.emit(final("hello you"));
    await turn();
    expect(rounds()).toBe(2);
    expect(textOf(of(1))).toBe("hello you");
  });

  it("sends the first text at once and collects what follows", async () => {
    const { publisher, rounds, turn, pass, of } = await setup();
    const stream = publisher.open(owner(1), { text: "" });
    stream.emit({ type: "delta", text: "a" });
    await turn();
    expect(textOf(of(1))).toBe("a");
    for (const text of ["b", "c", "d"]) {
      stream.emit({ type: "delta", text });
      await turn();
    }
    expect(rounds()).toBe(1);
    await pass(COALESCE_MS);
    expect(rounds()).toBe(2);
    expect(textOf(of(1))).toBe("abcd");
    expect(of(1)).toHaveLength(3);
  });

  it("sends all runs of a tick in one round trip", async () => {
    const { publisher, rounds, turn, pass, of } = await setup();
    const streams = [1, 2, 3, 4].map((n) => publisher.open(owner(n), { text: "" }));
    for (const stream of streams) stream.emit({ type: "delta", text: "x" });
    await turn();
    expect(rounds()).toBe(1);
    for (const stream of streams) stream.emit({ type: "delta", text: "y" });
    await pass(COALESCE_MS);
    expect(rounds()).toBe(2);
    for (const n of [1, 2, 3, 4]) expect(textOf(of(n))).toBe("xy");
  });

  it("keeps the order of two runs of one session", async () => {
    const { publisher, turn, events } = await setup();
    const first = publisher.open(owner(1, 9), { text: "" });
    first.emit({ type: "delta", text: "x" });
    await turn();
    first.emit(final("x"));
    const second = publisher.open(owner(2, 9), { text: "" });
    second.emit({ type: "delta", text: "y" });
    second.emit(final("y"));
    await turn();
    expect(events.map(({ runId: id, body }) => [id, body.type])).toEqual([
      ["run-1", "started"],
      ["run-1", "delta"],
      ["run-1", "final"],
      ["run-2", "started"],
      ["run-2", "delta"],
      ["run-2", "final"],
    ]);
  });

  it("tries again with pauses while the bus is away, says so once, and then sends the whole text", async () => {
    const { publisher, bus, pass, turn, of, logger, rounds } = await setup();
    const stream = publisher.open(owner(1), { text: "" });
    stream.emit({ type: "delta", text: "a" });
    await turn();
    bus.break("after");
    stream.emit({ type: "delta", text: "b" });
    await pass(COALESCE_MS);
    for (let i = 0; i < 50; i++) {
      stream.emit({ type: "delta", text: "c" });
      await pass(COALESCE_MS);
    }
    expect(rounds()).toBeLessThan(30);
    bus.mend();
    await pass(10_000);
    const text = `ab${"c".repeat(50)}`;
    expect(textOf(of(1))).toBe(text);
    expect(of(1).at(-1)?.body).toEqual({ type: "replace", text });
    expect(of(1).map(({ runSeq }) => runSeq)).toEqual(of(1).map((_event, i) => i + 1));
    expect(logger.lines.filter(({ event }) => event === "worker.bus_away")).toHaveLength(1);
  });

  it("gives up the end of a run after some tries, and nothing is left waiting", async () => {
    const { publisher, bus, clock, pass, counters } = await setup();
    bus.break("before");
    const stream = publisher.open(owner(1), { text: "" });
    stream.emit(final("x"));
    await pass(60_000);
    expect(counters.endsUnpublished).toBe(1);
    await publisher.flush(1);
    expect(clock.sleepers()).toBe(0);
  });

  it("falls silent where a newer holder has spoken", async () => {
    const { publisher, bus, turn, of, counters } = await setup();
    const stream = publisher.open(owner(1, 9), { text: "" });
    stream.emit({ type: "delta", text: "a" });
    await turn();
    await bus.port.publish([{ ...owner(2, 9), runSeq: 1, at: 0, body: { type: "started", text: "" } }]);
    stream.emit(final("a"));
    await turn();
    stream.emit({ type: "delta", text: "b" });
    await turn();
    expect(of(1).map(({ body }) => body.type)).toEqual(["started", "delta"]);
    expect(counters.publishFenced).toBe(1);
  });

  it("says nothing more of an abandoned run, not even what waits", async () => {
    const { publisher, pass, of, bus, turn } = await setup();
    const stream = publisher.open(owner(1), { text: "" });
    bus.break("before", ["publishMany"], 1);
    stream.emit({ type: "delta", text: "a" });
    await turn();
    stream.abandon();
    await pass(60_000);
    expect(of(1)).toEqual([]);
  });

  it("does not let one run's unpublishable event hold up the others", async () => {
    const { publisher, bus, turn, of, counters } = await setup();
    const publishMany = bus.port.publishMany.bind(bus.port);
    const poisoned = (batches: readonly (readonly RunEvent[])[]): boolean =>
      batches.some((batch) => batch.some((event) => event.runId === "run-1"));
    const strict = {
      ...bus.port,
      publishMany: (batches: readonly (readonly RunEvent[])[]) =>
        poisoned(batches) ? Promise.reject(new TypeError("cannot serialize a BigInt")) : publishMany(batches),
    };
    const clock = fakeClock();
    const strictly = runPublisher({
      bus: strict,
      clock,
      random: seededRandom(1),
      logger: recordingLogger(),
      counters,
    });
    const [bad, good] = [strictly.open(owner(1), { text: "" }), strictly.open(owner(2), { text: "" })];
    bad.emit(final("x"));
    good.emit(final("y"));
    await clock.advance(0);
    await turn();
    expect(of(1)).toEqual([]);
    expect(of(2).at(-1)?.body.type).toBe("final");
    expect(publisher).toBeDefined();
  });

  it("flushes what waits before the worker goes", async () => {
    const { publisher, of } = await setup();
    const stream = publisher.open(owner(1), { text: "" });
    stream.emit(final("x"));
    await publisher.flush(1_000);
    expect(of(1).at(-1)?.body.type).toBe("final");
  });
});
