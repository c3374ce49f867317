import { describe, expect, it } from "vitest";
import { HAError } from "../../server/core/errors.ts";
import { fakeClock } from "../../server/testing/fake-clock.ts";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import type { GatewaySession, GatewaySessionOptions } from "./gateway-session.ts";
import { FOLLOW_METHOD, REFUSED_AFTER_MS, sendMessage, UNREACHABLE_AFTER_MS } from "./send-message.ts";

const REQUEST = { sessionKey: "main", message: "hello", runId: "run-1" };
const away = (): HAError => new HAError("STORE_UNAVAILABLE", "no gateway there");

type Opening = Pick<GatewaySessionOptions, "onEvent" | "signal">;
interface Connection {
  readonly requests: { readonly method: string; readonly params: Record<string, unknown> }[];
  /** Tells a chat event of the run. */
  chat(state: string, runSeq: number, text: string): void;
  drop(): void;
}

/** A gateway that the test plays; each entry answers one dialling: a refusal, or how requests are answered. */
function setup(dialled: readonly (HAError | ((method: string) => unknown))[]) {
  const clock = fakeClock();
  const controller = new AbortController();
  const connections: Connection[] = [];
  const told: string[] = [];
  let printed = "";
  let dials = 0;
  const open = (options: Opening): Promise<GatewaySession> => {
    const how = dialled[Math.min(dials++, dialled.length - 1)] ?? away();
    if (how instanceof HAError) return Promise.reject(how);
    const closed = Promise.withResolvers<void>();
    const requests: Connection["requests"] = [];
    connections.push({
      requests,
      drop: () => closed.resolve(),
      chat: (state, runSeq, text) =>
        options.onEvent("chat", {
          runId: "run-1",
          sessionKey: "agent:main:main",
          seq: runSeq,
          runSeq,
          state,
          message: { role: "assistant", content: [{ type: "text", text }], timestamp: 1 },
        }),
    });
    options.signal.addEventListener("abort", () => closed.resolve());
    return Promise.resolve({
      closed: closed.promise,
      close: () => closed.resolve(),
      async request(method, params) {
        requests.push({ method, params: params as Record<string, unknown> });
        return await how(method);
      },
    });
  };
  const sending = (follow = true) =>
    sendMessage(
      REQUEST,
      {
        onSending: () => {},
        onRefused: () => told.push("refused"),
        onAccepted: ({ runId }) => told.push(`accepted ${runId}`),
        onEvent: (_, step) => void (printed += step.print),
        onInterruption: ({ code }) => told.push(code),
      },
      { open, clock, random: seededRandom(5), signal: controller.signal },
      { follow },
    );
  return { clock, connections, controller, told, sending, dials: () => dials, printed: () => printed };
}

const accepting = (): unknown => ({ runId: "run-1", status: "started" });
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("sendMessage", () => {
  it("sends, follows from the start, and ends with the run", async () => {
    const { connections, sending, printed, told } = setup([accepting]);
    const result = sending();
    await settle();
    const [first] = connections;
    first?.chat("delta", 2, "Hel");
    first?.chat("final", 3, "Hello");
    expect(await result).toMatchObject({
      type: "result",
      status: "ok",
      text: "Hello",
      sessionKey: "agent:main:main",
    });
    expect(first?.requests).toEqual([
      {
        method: "chat.send",
        params: { sessionKey: "main", message: "hello", idempotencyKey: "run-1", queueMode: "followup" },
      },
      { method: "sessions.messages.subscribe", params: { key: "main" } },
      { method: FOLLOW_METHOD, params: { runId: "run-1", sessionKey: "main", afterRunSeq: 0 } },
    ]);
    expect(printed()).toBe("Hello");
    expect(told).toEqual(["accepted run-1"]);
  });

  it("reconnects at once when the gateway dies, repeats the key and goes on behind the last event", async () => {
    const { clock, connections, sending, printed, told } = setup([accepting]);
    const result = sending();
    await settle();
    connections[0]?.chat("delta", 7, "one ");
    connections[0]?.drop();
    await clock.advance(0);
    expect(connections).toHaveLength(2);
    expect(connections[1]?.requests).toEqual([
      expect.objectContaining({ params: expect.objectContaining({ idempotencyKey: "run-1" }) }),
      { method: "sessions.messages.subscribe", params: { key: "main" } },
      { method: FOLLOW_METHOD, params: { runId: "run-1", sessionKey: "main", afterRunSeq: 7 } },
    ]);
    connections[1]?.chat("delta", 7, "one ");
    connections[1]?.chat("final", 9, "one two");
    expect(await result).toMatchObject({ text: "one two" });
    expect(printed()).toBe("one two");
    expect(told).toEqual(["accepted run-1", "STORE_UNAVAILABLE"]);
  });

  it("dials again at once when the first gateway refuses", async () => {
    const { clock, connections, sending } = setup([away(), accepting]);
    const result = sending();
    await clock.advance(0);
    connections[0]?.chat("final", 2, "quick");
    expect(await result).toMatchObject({ text: "quick" });
  });

  it("goes on after a connection that is lost when the run has long been silent", async () => {
    const { clock, connections, sending } = setup([accepting, away(), accepting]);
    const result = sending();
    await clock.advance(UNREACHABLE_AFTER_MS * 3);
    connections[0]?.drop();
    await clock.advance(5_000);
    connections[1]?.chat("final", 2, "late");
    expect(await result).toMatchObject({ text: "late" });
  });

  it("does not spin where connections end before they tell anything", async () => {
    const { clock, connections, controller, sending } = setup([accepting]);
    const ended = failure(sending());
    for (let ms = 0; ms < 10_000; ms += 10) {
      connections.at(-1)?.drop();
      await clock.advance(10);
    }
    controller.abort();
    await ended;
    expect(connections.length).toBeLessThan(50);
  });

  it("takes a result that comes before the follow request is answered", async () => {
    const answer = Promise.withResolvers<unknown>();
    const { connections, sending } = setup([
      (method) => (method === FOLLOW_METHOD ? answer.promise : accepting()),
    ]);
    const result = sending();
    await settle();
    connections[0]?.chat("final", 2, "quick");
    answer.resolve({});
    expect(await result).toMatchObject({ text: "quick" });
  });

  it("waits for gateways that are away, then gives up with their error", async () => {
    const { clock, sending, dials } = setup([away()]);
    const result = sending();
    const [error] = await Promise.all([failure(result), clock.advance(UNREACHABLE_AFTER_MS * 2)]);
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
    // Pauses of one second on average: neither a storm nor a long silence.
    expect(dials()).toBeGreaterThan(10);
    expect(dials()).toBeLessThan(200);
  });

  it("finds a gateway that comes back", async () => {
    const { clock, connections, sending } = setup([away(), away(), away(), accepting]);
    const result = sending();
    await clock.advance(10_000);
    connections[0]?.chat("final", 2, "there");
    expect(await result).toMatchObject({ text: "there" });
  });

  it("waits as long as an overloaded gateway says, then tries again", async () => {
    let refusals = 0;
    const busy = (method: string): unknown => {
      if (method !== "chat.send" || refusals++ > 0) return accepting();
      throw new HAError("OVERLOADED", "busy", { retryAfterMs: 4_000 });
    };
    const { clock, connections, sending, told } = setup([busy]);
    const result = sending();
    await clock.advance(1_500);
    expect(connections).toHaveLength(1);
    await clock.advance(5_000);
    expect(connections).toHaveLength(2);
    connections[1]?.chat("final", 2, "done");
    expect(await result).toMatchObject({ status: "ok" });
    expect(told).toEqual(["OVERLOADED", "accepted run-1"]);
  });

  it("gives up when nothing is accepted for long", async () => {
    const { clock, sending } = setup([new HAError("OVERLOADED", "busy", { retryAfterMs: 1_000 })]);
    const [error] = await Promise.all([failure(sending()), clock.advance(REFUSED_AFTER_MS * 2)]);
    expect(error).toMatchObject({ code: "OVERLOADED" });
  });

  it("does not repeat what was refused for good", async () => {
    const { sending, dials } = setup([new HAError("UNAUTHORIZED", "wrong token")]);
    await expect(sending()).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    expect(dials()).toBe(1);
  });

  it("ends at the acknowledgement when it is not to follow", async () => {
    const { connections, sending, told } = setup([accepting]);
    expect(await sending(false)).toBeNull();
    expect(connections[0]?.requests.map(({ method }) => method)).toEqual(["chat.send"]);
    expect(told).toEqual(["accepted run-1"]);
  });

  it("ends with the signal's reason and leaves the run alone", async () => {
    const { connections, controller, sending } = setup([accepting]);
    const result = sending();
    await settle();
    controller.abort(new DOMException("ended by SIGINT", "AbortError"));
    await expect(result).rejects.toMatchObject({ name: "AbortError" });
    expect(connections[0]?.requests.map(({ method }) => method)).not.toContain("chat.abort");
  });
});
