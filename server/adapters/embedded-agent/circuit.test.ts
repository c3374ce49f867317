import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { testModel } from "../../testing/agent-harness.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { circuits } from "./circuit.ts";
import { classify } from "./failure.ts";
import type { StreamResult } from "./stream-answer.ts";

const fails = (status: number) => (): Promise<StreamResult> =>
  Promise.resolve({ kind: "failure", failure: classify(status, "", `${status}`) });
const works = (): Promise<StreamResult> =>
  Promise.resolve({ kind: "message", message: { role: "assistant", content: "", timestamp: 1 } });
const stopped = (): Promise<StreamResult> => Promise.resolve({ kind: "stopped" });

const open = () => {
  const circuitOf = circuits({ failures: 3, halfOpenAfterMs: 10_000 }, recordingLogger());
  return { circuitOf, circuit: circuitOf(testModel("http://one/v1")) };
};

// cockatiel reads the time from Date alone.
beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

describe("circuits", () => {
  it("opens after so many failures in a row, and then answers without a call", async () => {
    const { circuit } = open();
    for (let i = 0; i < 3; i++) expect(await circuit.run(fails(500))).toMatchObject({ kind: "failure" });
    const call = vi.fn(works);
    expect(await circuit.run(call)).toEqual({ kind: "open" });
    expect(call).not.toHaveBeenCalled();
  });

  it("counts neither a tenant's own failures nor stopped calls", async () => {
    const { circuit } = open();
    for (const status of [401, 429, 400, 429, 401]) await circuit.run(fails(status));
    await circuit.run(fails(500));
    await circuit.run(fails(500));
    await circuit.run(stopped);
    expect(await circuit.run(works)).toMatchObject({ kind: "message" });
    await circuit.run(fails(500));
    await circuit.run(fails(500));
    await circuit.run(stopped);
    await circuit.run(fails(500));
    expect(await circuit.run(works)).toEqual({ kind: "open" });
  });

  it("lets one call try when it has been open for its time; the others do not wait for it", async () => {
    const { circuit } = open();
    for (let i = 0; i < 3; i++) await circuit.run(fails(500));
    vi.advanceTimersByTime(10_001);
    const { promise, resolve } = Promise.withResolvers<StreamResult>();
    const trial = circuit.run(() => promise);
    expect(await circuit.run(works)).toEqual({ kind: "open" });
    resolve(await works());
    expect(await trial).toMatchObject({ kind: "message" });
    expect(await circuit.run(works)).toMatchObject({ kind: "message" });
  });

  it("closes with the first piece of the trial's answer, however long the answer is", async () => {
    const { circuit } = open();
    for (let i = 0; i < 3; i++) await circuit.run(fails(500));
    vi.advanceTimersByTime(10_001);
    const { promise, resolve } = Promise.withResolvers<StreamResult>();
    let first = (): void => undefined;
    const trial = circuit.run((onFirst) => {
      first = onFirst;
      return promise;
    });
    first();
    await new Promise((done) => setImmediate(done));
    expect(await circuit.run(works)).toMatchObject({ kind: "message" });
    resolve(await stopped());
    expect(await trial).toEqual({ kind: "stopped" });
  });

  it("opens again when the trial fails", async () => {
    const { circuit } = open();
    for (let i = 0; i < 3; i++) await circuit.run(fails(500));
    vi.advanceTimersByTime(10_001);
    expect(await circuit.run(fails(500))).toMatchObject({ kind: "failure" });
    expect(await circuit.run(works)).toEqual({ kind: "open" });
  });

  it("is one per provider and address", async () => {
    const { circuit, circuitOf } = open();
    for (let i = 0; i < 3; i++) await circuit.run(fails(500));
    expect(await circuitOf(testModel("http://two/v1")).run(works)).toMatchObject({ kind: "message" });
    expect(await circuitOf(testModel("http://one/v1", { id: "other" })).run(works)).toEqual({ kind: "open" });
  });
});
