import { describe, expect, it } from "vitest";
import type { EventBus } from "../ports/event-bus.ts";
import { ATTEMPT_STRIDE } from "../core/run-event.ts";
import { gatewayPool, type Hand, handWorker, OTHER_TOKEN } from "../testing/gateway-pool.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { until } from "../testing/until.ts";
import { connectWire, type WireClient } from "../testing/wire-client.ts";
import { assembleGateway } from "./assemble.ts";

const MAIN = "agent:main:main";

/** A client that started a run on one gateway, and the pool for others to go on with. */
const setup = async () => {
  const pool = await gatewayPool();
  const connect = (instance: string) => connectWire(assembleGateway(pool.deps({ instance })).gateway);
  const first = await connect("gateway-1");
  const hand = await handWorker(pool);
  const start = async (key = "k1"): Promise<Hand> => {
    await first.ok("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: key });
    return hand.claim(MAIN);
  };
  return { pool, connect, first, start };
};

const lastRunSeq = (client: WireClient, runId: string): number =>
  Number(client.chats(runId, "delta").at(-1)?.["runSeq"] ?? 0);

const follow = (client: WireClient, runId: string, afterRunSeq: number) =>
  client.ok("openclaw-ha.runs.follow", { runId, sessionKey: "main", afterRunSeq });

/** The text of a client that had `before` when it lost its gateway, and then heard `after` from another. */
function textOver(before: WireClient, upTo: number, after: WireClient, runId: string): string {
  let text = "";
  const deltas = [...before.chats(runId, "delta").slice(0, upTo), ...after.chats(runId, "delta")];
  for (const { deltaText, replace } of deltas) {
    text = replace === true ? String(deltaText) : text + String(deltaText);
  }
  return text;
}

describe("openclaw-ha.runs.follow", () => {
  it("goes on after the last event seen on another gateway: what was missed as one delta, then live", async () => {
    const { connect, first, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await run.say({ type: "delta", text: " two" });
    const seen = lastRunSeq(first, "k1");
    first.connection.ended(); // its gateway is gone
    await run.say({ type: "delta", text: " three" });
    await run.say({ type: "delta", text: " four" });

    const second = await connect("gateway-2");
    expect(await follow(second, "k1", seen)).toMatchObject({
      runId: "k1",
      sessionKey: MAIN,
      status: "in_flight",
      runStatus: "running",
      attempt: 1,
    });
    await until(() => second.chats("k1", "delta").length > 0);
    await run.say({ type: "delta", text: " five" });
    await run.finish("one two three four five");
    await second.end("k1");
    const told = second.chats("k1", "delta").map(({ deltaText, replace }) => [deltaText, replace]);
    expect(told).toEqual([
      [" three four", undefined],
      [" five", undefined],
    ]);
    expect(second.chats("k1", "final")).toHaveLength(1);
  });

  it("tells the end also to a client whose last delta was told from the row, with the number of the end", async () => {
    const { connect, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await run.finish("one two");
    const second = await connect("gateway-2");
    await follow(second, "k1", ATTEMPT_STRIDE);
    expect(await second.end("k1")).toMatchObject({ state: "final", runSeq: ATTEMPT_STRIDE });
    expect(second.chats("k1", "delta")).toEqual([]);
  });

  it("of a run that is over tells what was missed and the end, once", async () => {
    const { connect, first, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    const seen = lastRunSeq(first, "k1");
    await run.say({ type: "delta", text: " two" });
    await run.finish("one two");
    const second = await connect("gateway-2");
    expect(await follow(second, "k1", seen)).toMatchObject({ status: "ok", runStatus: "succeeded" });
    await second.end("k1");
    expect(second.chats("k1").map(({ state, deltaText }) => [state, deltaText])).toEqual([
      ["delta", " two"],
      ["final", undefined],
    ]);
  });

  it("without the bus's history gives the whole text with replace", async () => {
    const { pool, connect, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await run.finish("one two");
    pool.bus.break("before", ["replay"]);
    const second = await connect("gateway-2");
    await follow(second, "k1", 2);
    expect(await second.end("k1")).toMatchObject({ message: { content: [{ text: "one two" }] } });
    expect(second.chats("k1", "delta")).toMatchObject([{ deltaText: "one two", replace: true }]);
  });

  it("of a run whose last events were never published gives the whole text with replace", async () => {
    const { connect, first, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await run.finish("one two", { silently: true });
    const second = await connect("gateway-2");
    await follow(second, "k1", lastRunSeq(first, "k1"));
    await second.end("k1");
    expect(second.chats("k1", "delta")).toMatchObject([{ deltaText: "one two", replace: true }]);
  });

  it("leaves nothing out that comes live between the look into the history and the answer", async () => {
    const { pool, first, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    const deps = pool.deps({ instance: "gateway-2" });
    // The history is read, and its answer is on its way while the next delta is told.
    const slow: EventBus = {
      ...deps.bus,
      subscribe: (...given) => deps.bus.subscribe(...given),
      async replay(...given) {
        const events = await deps.bus.replay(...given);
        if (given[3] > 0) await run.say({ type: "delta", text: " two" });
        return events;
      },
    };
    const { gateway } = assembleGateway({ ...deps, bus: slow });
    const other = await connectWire(gateway);
    await run.say({ type: "delta", text: " and" });
    await until(() => other.text("k1") === "one and");
    const seen = lastRunSeq(first, "k1");
    const second = await connectWire(gateway);
    await follow(second, "k1", seen);
    await run.say({ type: "delta", text: " three" });
    await run.finish("one and two three");
    await second.end("k1");
    expect(textOver(first, 2, second, "k1")).toBe("one and two three");
  });

  it("on a gateway that tells others the run already goes on without a seam, also within a long text", async () => {
    const { pool, start } = await setup();
    const { gateway } = assembleGateway(pool.deps({ instance: "gateway-2" }));
    const watching = await connectWire(gateway);
    const run = await start();
    const long = "x".repeat(10_000);
    await run.say({ type: "started", text: "" }, { type: "delta", text: long });
    await run.say({ type: "delta", text: " short" }); // too little of a long text to be told alone
    const second = await connectWire(gateway);
    await follow(second, "k1", 2);
    await until(() => second.chats("k1", "delta").length > 0);
    await run.say({ type: "delta", text: " next".repeat(50) });
    await run.finish(`${long} short${" next".repeat(50)}`);
    for (const client of [watching, second]) await client.end("k1");
    expect(second.chats("k1", "delta").map(({ deltaText, replace }) => [deltaText, replace])).toEqual([
      [" short", undefined],
      [" next".repeat(50), undefined],
    ]);
    expect(watching.text("k1")).toBe(`${long} short${" next".repeat(50)}`);
  });

  it("on a connection that hears the run live tells nothing twice, whenever it asks", async () => {
    const { first, start } = await setup();
    const run = await start();
    await follow(first, "k1", 0);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await follow(first, "k1", 0);
    await run.say({ type: "delta", text: " two" });
    await follow(first, "k1", 2);
    await run.finish("one two");
    await first.end("k1");
    await follow(first, "k1", 3);
    await follow(first, "k1", 0);
    expect(first.text("k1")).toBe("one two");
    expect(first.chats("k1", "delta")).toHaveLength(2);
    expect(first.chats("k1", "final")).toHaveLength(1);
  });

  it("of a run whose last events are still on their way tells its end once", async () => {
    const { pool, connect, first, start } = await setup();
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    const second = await connect("gateway-2");
    await pool.unheard(() => run.finish("one")); // committed, but no gateway has heard it
    for (const client of [first, second]) {
      await follow(client, "k1", 0);
      await client.end("k1");
      expect(client.text("k1")).toBe("one");
    }
    const last = { type: "final", text: "one", stopReason: "stop" } as const;
    await run.say(last);
    for (const client of [first, second]) expect(client.chats("k1", "final")).toHaveLength(1);
  });

  it("subscribes the session for a connection that hears subscribed sessions only", async () => {
    const { pool, start } = await setup();
    const { gateway } = assembleGateway(pool.deps({ instance: "gateway-2" }));
    const scoped = await connectWire(gateway, { caps: ["session-scoped-events"] });
    const run = await start();
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    await follow(scoped, "k1", 0);
    await run.say({ type: "delta", text: " two" });
    await run.finish("one two");
    await scoped.end("k1");
    expect(scoped.text("k1")).toBe("one two");
  });

  it("tells nothing twice either on a connection that subscribed the session before it asked", async () => {
    const { pool, start } = await setup();
    const { gateway } = assembleGateway(pool.deps({ instance: "gateway-2" }));
    const scoped = await connectWire(gateway, { caps: ["session-scoped-events"] });
    const run = await start();
    await scoped.ok("sessions.messages.subscribe", { key: "main" });
    await run.say({ type: "started", text: "" }, { type: "delta", text: "one" });
    const seen = lastRunSeq(scoped, "k1");
    // Heard live while the client's request is on its way.
    await run.say({ type: "delta", text: " two" });
    await follow(scoped, "k1", seen);
    await run.finish("one two three");
    await scoped.end("k1");
    expect(scoped.chats("k1", "delta").map(({ deltaText }) => deltaText)).toEqual(["one", " two", " three"]);
    expect(scoped.text("k1")).toBe("one two three");
  });

  it("misses nothing that comes live while the past is on its way", async () => {
    const { pool, start } = await setup();
    const deps = pool.deps({ instance: "gateway-2" });
    const answered = Promise.withResolvers<void>();
    // The history is read before the events below are published, and its answer overtaken by them.
    const bus = new Proxy(deps.bus, {
      get: (target, name, receiver) =>
        name === "replay"
          ? async (...args: Parameters<typeof target.replay>) => {
              const events = await target.replay(...args);
              await answered.promise;
              return events;
            }
          : (Reflect.get(target, name, receiver) as unknown),
    });
    const second = await connectWire(assembleGateway({ ...deps, bus }).gateway);
    const run = await start();
    await run.say({ type: "started", text: "" });
    await follow(second, "k1", 0);
    await run.say({ type: "delta", text: "one" }, { type: "delta", text: " two" });
    answered.resolve();
    await until(() => second.chats("k1", "delta").length > 0);
    await run.finish("one two three");
    await second.end("k1");
    expect(second.text("k1")).toBe("one two three");
  });

  it("of a queued run tells nothing yet, and everything once it runs", async () => {
    const { pool, connect, first } = await setup();
    await first.ok("chat.send", { sessionKey: "main", message: "hello", idempotencyKey: "k1" });
    const second = await connect("gateway-2");
    expect(await follow(second, "k1", 0)).toMatchObject({ runStatus: "queued" });
    expect(second.chats("k1")).toEqual([]);
    const run = await (await handWorker(pool, "hand.2")).claim(MAIN);
    await run.say({ type: "started", text: "" }, { type: "delta", text: "hi" });
    await run.finish("hi");
    await second.end("k1");
    expect(second.text("k1")).toBe("hi");
  });

  it("of an unknown run, of another session's or of another tenant's is refused alike", async () => {
    const { pool, connect, start } = await setup();
    await start();
    const second = await connect("gateway-2");
    const unknown = await second.request("openclaw-ha.runs.follow", { runId: "nope" });
    expect(unknown.error).toEqual({ code: "INVALID_REQUEST", message: 'unknown run: "nope"' });
    const elsewhere = await second.request("openclaw-ha.runs.follow", { runId: "k1", sessionKey: "x" });
    expect(elsewhere.error?.message).toBe("runId does not match sessionKey");
    const { gateway } = assembleGateway(pool.deps());
    const stranger = await connectWire(gateway, { token: OTHER_TOKEN });
    const theirs = await stranger.request("openclaw-ha.runs.follow", { runId: "k1" });
    expect(theirs.error?.message).toBe('unknown run: "k1"');
  });

  it("whenever a client switches gateways, it ends up with exactly the answer's text", async () => {
    const random = seededRandom(5);
    for (let round = 0; round < 30; round++) {
      const { connect, first, start } = await setup();
      const run = await start();
      const words = Array.from({ length: 8 }, (_, i) => ` w${i}`);
      const switchAt = Math.floor(random.float() * words.length);
      let second: WireClient | null = null;
      let seen = 0;
      let heardBefore = 0;
      const switching: Promise<unknown>[] = [];
      await run.say({ type: "started", text: "" });
      for (const [i, text] of words.entries()) {
        if (i === switchAt) {
          seen = lastRunSeq(first, "k1");
          heardBefore = first.chats("k1", "delta").length;
          second = await connect("gateway-2");
          switching.push(follow(second, "k1", seen)); // races with what is said next
        }
        await run.say({ type: "delta", text });
        if (random.float() < 0.3) {
          const sofar = words.slice(0, i + 1).join("");
          await run.say({ type: "replace", text: sofar });
        }
      }
      const whole = words.join("");
      await run.finish(whole);
      await Promise.all(switching);
      if (!second) throw new Error("it never switched");
      await second.end("k1");
      expect(textOver(first, heardBefore, second, "k1")).toBe(whole);
      expect(second.chats("k1", "final")).toHaveLength(1);
    }
  });
});
