import { describe, expect, it } from "vitest";
import { HAError } from "../../server/core/errors.ts";
import { fakeClock } from "../../server/testing/fake-clock.ts";
import { dialFirst } from "./dial-first.ts";
import type { GatewaySession } from "./gateway-session.ts";

const away = (): HAError => new HAError("STORE_UNAVAILABLE", "no answer");

/** Calls that the test answers one by one. */
function setup() {
  const clock = fakeClock();
  const controller = new AbortController();
  const calls: { answer: (name: string) => void; fail: (error: Error) => void; signal: AbortSignal }[] = [];
  const closed: string[] = [];
  const session = (name: string): GatewaySession => ({
    request: () => Promise.resolve(name),
    closed: new Promise(() => {}),
    close: () => void closed.push(name),
  });
  const dialled = dialFirst(
    (signal) =>
      new Promise((resolve, reject) => {
        const fail = reject;
        signal.addEventListener("abort", () => fail(away()));
        calls.push({ answer: (name) => resolve(session(name)), fail, signal });
      }),
    { clock, signal: controller.signal },
  );
  const name = async (): Promise<unknown> => (await dialled).request("", {});
  return { calls, clock, closed, controller, dialled, name };
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe("dialFirst", () => {
  it("dials once where the first call is answered at once", async () => {
    const { calls, clock, name } = setup();
    calls[0]?.answer("one");
    expect(await name()).toBe("one");
    await clock.advance(10_000);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.signal.aborted).toBe(false);
    expect(clock.sleepers()).toBe(0);
  });

  it("dials again while nobody answers, keeps the first that does and gives the others up", async () => {
    const { calls, clock, name } = setup();
    await clock.advance(600);
    expect(calls).toHaveLength(3);
    calls[2]?.answer("three");
    expect(await name()).toBe("three");
    expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });

  it("closes a connection that comes when another one is in use", async () => {
    const { calls, clock, closed, name } = setup();
    await clock.advance(300);
    calls[1]?.answer("two");
    calls[0]?.answer("one");
    expect(await name()).toBe("two");
    expect(closed).toEqual(["one"]);
  });

  it("dials a bounded number of times and fails when all have", async () => {
    const { calls, clock, dialled } = setup();
    const error = failure(dialled);
    await clock.advance(60_000);
    expect(calls).toHaveLength(8);
    for (const call of calls) call.fail(away());
    expect(await error).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("fails at once where the only call fails, so that its user decides about the next", async () => {
    const { calls, clock, dialled } = setup();
    calls[0]?.fail(away());
    expect(await failure(dialled)).toMatchObject({ code: "STORE_UNAVAILABLE" });
    await clock.advance(10_000);
    expect(calls).toHaveLength(1);
  });

  it("fails at once with a refusal, whoever else is still being called", async () => {
    const { calls, clock, dialled } = setup();
    await clock.advance(300);
    calls[1]?.fail(new HAError("UNAUTHORIZED", "wrong token"));
    expect(await failure(dialled)).toMatchObject({ code: "UNAUTHORIZED" });
    expect(calls[0]?.signal.aborted).toBe(true);
  });

  it("ends all calls when its user aborts, also the one that is in use", async () => {
    const { calls, controller, name } = setup();
    calls[0]?.answer("one");
    await name();
    controller.abort();
    expect(calls[0]?.signal.aborted).toBe(true);
  });
});
