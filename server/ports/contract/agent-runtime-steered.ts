import { describe, expect, it } from "vitest";
import { HAError } from "../../core/errors.ts";
import { recordingIO, resumed } from "../../testing/agent-harness.ts";
import { idempotentCounter } from "../../testing/test-tools.ts";
import { never, type OpenFixture, setupWith } from "./agent-runtime-fixture.ts";

/** The part of the contract that is about what users send while the run is under way. */
export function agentRuntimeSteered(open: OpenFixture): void {
  const setup = setupWith(open);

  /** A run that calls a tool, and a message that comes meanwhile: it makes the model answer `Both.` */
  const steeredIn = async () => {
    const { tool, effects } = idempotentCounter();
    const fixture = await setup([{ text: "Let me look.", calls: ["mark"] }, { text: "One." }], [tool]);
    const second = { text: "Both." };
    const steered = (no: number) => (no === 2 ? [fixture.ask([second, second])] : []);
    return { ...fixture, steered, effects };
  };

  describe("steering", () => {
    it("gives the model what users have sent meanwhile with its next call, behind the tool's results", async () => {
      const { runtime, turn, steered, modelCalls } = await steeredIn();
      const io = recordingIO({ steered });
      const outcome = await runtime.run(turn, io, never());
      expect(outcome).toMatchObject({ status: "succeeded", result: { text: "Both." } });
      expect([...io.messages(), ...outcome.messages].map(({ role }) => role)).toEqual([
        "assistant",
        "toolResult",
        "user",
        "assistant",
      ]);
      expect(io.held()).toBe("Both.");
      expect(await modelCalls()).toBe(2);
    });

    it("is part of what a later attempt starts from, and asked for again before its first call", async () => {
      const { runtime, turn, steered, modelCalls, effects } = await steeredIn();
      const cut = new AbortController();
      const first = recordingIO({
        steered: (no) => {
          // The process dies right behind the commit that took the message in.
          if (no === 2) cut.abort(new HAError("LEASE_LOST", "cut by the test"));
          return steered(no);
        },
      });
      await expect(runtime.run(turn, first, cut.signal)).rejects.toMatchObject({ code: "LEASE_LOST" });

      const asked: number[] = [];
      const second = recordingIO({
        steered: (no) => {
          asked.push(no);
          return [];
        },
      });
      // The run's own messages begin where they did, whoever else has spoken since.
      const outcome = await runtime.run({ ...resumed(turn, first), ownFrom: turn.ownFrom }, second, never());
      expect(outcome).toMatchObject({ result: { text: "Both." }, steps: [{ kind: "model", stepNo: 4 }] });
      expect(asked).toEqual([1]);
      expect(effects).toHaveLength(1);
      expect(await modelCalls()).toBe(2);
    });

    it("asks for nothing before the first call of a run", async () => {
      const { runtime, turn } = await setup([{ text: "One." }]);
      const io = recordingIO({ steered: () => ["never asked for"] });
      expect((await runtime.run(turn, io, never())).result?.text).toBe("One.");
      expect(io.messages()).toEqual([]);
    });

    it("counts the usage of the whole run, whoever spoke in between", async () => {
      const { runtime, turn, steered } = await steeredIn();
      const io = recordingIO({ steered });
      const { result, messages } = await runtime.run(turn, io, never());
      const used = [...io.messages(), ...messages].flatMap(({ usage }) => (usage ? [usage.input] : []));
      expect(used).toHaveLength(2);
      expect(result?.usage?.input).toBe(used.reduce((sum, input) => sum + input));
    });
  });
}
