import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ModelSpec } from "../../core/catalog.ts";
import { HAError } from "../../core/errors.ts";
import { messageText } from "../../core/transcript.ts";
import type { DemoCallReport } from "../../demo-model/call-log.ts";
import { startDemoModel } from "../../demo-model/main.ts";
import type { AgentTurn } from "../../ports/agent-runtime.ts";
import { recordingIO, resumed, testModel, turnOf } from "../../testing/agent-harness.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { addTool } from "../../testing/test-tools.ts";
import { until } from "../../testing/until.ts";
import { systemClock } from "../system/clock.ts";
import { type EmbeddedAgentOptions, embeddedAgentRuntime } from "./agent-runtime.ts";

const never = new AbortController().signal;

/** A runtime whose waits are short, on two demo models: `demo` and `spare`. */
async function open(options: Partial<EmbeddedAgentOptions> = {}) {
  const [main, spare] = await Promise.all(
    [1, 2].map(() => startDemoModel({ port: 0, logger: recordingLogger() })),
  );
  if (!main || !spare) throw new Error("unreachable");
  onTestFinished(async () => void (await Promise.all([main.close(), spare.close()])));
  const logger = recordingLogger();
  const runtime = embeddedAgentRuntime({
    random: seededRandom(1),
    clock: systemClock,
    logger,
    retry: { maxRetries: 2, baseMs: 1, capMs: 50 },
    ...options,
  });
  const report = async (url: string) =>
    (await (await fetch(new URL("/__demo/calls", url))).json()) as DemoCallReport;
  const models = {
    demo: testModel(main.url, { compat: { sendSessionAffinityHeaders: true } }),
    spare: testModel(spare.url, { provider: "spare", id: "spare" }),
  };
  return {
    runtime,
    logger,
    models,
    mainCalls: () => report(main.url),
    spareCalls: () => report(spare.url),
    ask: (text: string, use: readonly ModelSpec[] = [models.demo], fields: Partial<AgentTurn> = {}) =>
      turnOf(text, { models: use, ...fields }),
  };
}

describe("embeddedAgentRuntime", () => {
  it("reports model and tokens of the whole run", async () => {
    const { runtime, ask } = await open();
    const text = '[[demo tool=add{"a":1,"b":2} usage=10/5/2]] [[demo usage=20/7/4]] add';
    const outcome = await runtime.run(ask(text, undefined, { tools: [addTool] }), recordingIO(), never);
    expect(outcome.result).toMatchObject({
      model: { provider: "demo", model: "demo" },
      usage: { input: 8 + 16, output: 12, cacheRead: 6, totalTokens: 42 },
    });
    expect(outcome.result?.text).toContain("3");
  });

  it("tells the model what is wrong with the arguments of a tool call", async () => {
    const { runtime, ask } = await open();
    const io = recordingIO();
    const outcome = await runtime.run(
      ask('[[demo tool=add{"a":"one"}]] add', undefined, { tools: [addTool] }),
      io,
      never,
    );
    expect(outcome.status).toBe("succeeded");
    const [, result] = io.messages();
    expect(result).toMatchObject({ role: "toolResult", isError: true });
    expect(result && messageText(result)).toContain("b");
    expect(io.steps().some(({ kind }) => kind === "tool_started")).toBe(false);
  });

  it("names a conversation to the provider without saying whose it is", async () => {
    const { runtime, ask, mainCalls } = await open();
    await runtime.run(ask("hello"), recordingIO(), never);
    expect((await mainCalls()).calls).toMatchObject([
      { session: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
    ]);
  });

  it("can be warmed up without a provider, and says nothing to one", async () => {
    const { runtime, ask, mainCalls } = await open();
    await runtime.warmUp(["openai-completions"]);
    expect((await mainCalls()).total).toBe(0);
    expect(await runtime.run(ask("hi"), recordingIO(), never)).toMatchObject({ status: "succeeded" });
  });

  describe("when the model fails", () => {
    it.each([
      ["error=500", 3, "model_unavailable"],
      ["error=429", 3, "model_unavailable"],
      ["disconnect", 3, "model_unavailable"],
      ["disconnect=1", 3, "model_unavailable"],
      ["truncate=1", 3, "model_unavailable"],
      ["error=401", 1, "model_auth"],
      ["error=403", 1, "model_auth"],
      ["error=400", 1, "model_rejected"],
      ["error=404", 1, "model_rejected"],
      ["error=429 code=insufficient_quota", 1, "model_quota"],
      ["error=400 code=context_length_exceeded", 1, "context_overflow"],
      ["error=429 retry-after=3600", 1, "model_unavailable"],
    ])("asks again only where that may help: %s", async (failure, calls, kind) => {
      const { runtime, ask, mainCalls } = await open();
      const io = recordingIO();
      const outcome = await runtime.run(ask(`[[demo ${failure}]] hi`), io, never);
      expect(outcome).toMatchObject({ status: "failed", error: { kind } });
      expect(outcome.error?.message).toMatch(/demo\/demo failed.*Next: /);
      expect((await mainCalls()).total).toBe(calls);
      expect(io.held()).toBe(outcome.result?.text ?? "");
    });

    it("answers when a later try works, and followers hold that answer alone", async () => {
      const { runtime, ask } = await open();
      for (const failure of ["error=503", "disconnect=2", "truncate=2", "error=429 retry-after=0.01"]) {
        const io = recordingIO();
        const text = `[[demo text="the whole answer" chunks=4 ${failure} times=2]]`;
        const outcome = await runtime.run(ask(text), io, never);
        expect(outcome).toMatchObject({ status: "succeeded", result: { text: "the whole answer" } });
        expect(io.held()).toBe("the whole answer");
        expect(outcome.messages).toHaveLength(1);
      }
    });

    it("keeps the text of a broken answer as text, and starts anew when the run is redriven", async () => {
      const { runtime, ask } = await open();
      const turn = ask('[[demo text="abcdef" chunks=2 disconnect=1 times=3]]');
      const first = recordingIO();
      const outcome = await runtime.run(turn, first, never);
      expect(outcome).toMatchObject({
        status: "failed",
        result: { text: "abc", stopReason: "error" },
        messages: [{ content: [{ type: "text", text: "abc" }], stopReason: "error" }],
      });
      const again = { ...resumed(turn, first), messages: [...turn.messages, ...outcome.messages] };
      const second = recordingIO({ heldBefore: "abc" });
      expect(await runtime.run(again, second, never)).toMatchObject({
        status: "succeeded",
        result: { text: "abcdef" },
      });
      expect(second.held()).toBe("abcdef");
    });

    it("goes on to the fallback, and says whose answer it was", async () => {
      const { runtime, ask, models, spareCalls } = await open();
      const nowhere = { ...models.demo, baseUrl: "http://127.0.0.1:1/v1" };
      const outcome = await runtime.run(ask("hi", [nowhere, models.spare]), recordingIO(), never);
      expect(outcome.result).toMatchObject({ model: { provider: "spare" } });
      expect((await spareCalls()).total).toBe(1);
    });

    it("tells why each of them failed when all have failed", async () => {
      const { runtime, ask, models } = await open();
      const outcome = await runtime.run(
        ask("[[demo error=401]]", [models.demo, models.spare]),
        recordingIO(),
        never,
      );
      expect(outcome.error?.message).toMatch(/demo\/demo failed.*spare\/spare failed/);
    });

    it("tries a context that was too long only on a model with a larger window", async () => {
      const { runtime, ask, models, spareCalls } = await open();
      const text = "[[demo error=400 code=context_length_exceeded]]";
      const small = { ...models.spare, contextWindow: 1_000 };
      await runtime.run(ask(text, [models.demo, small]), recordingIO(), never);
      expect((await spareCalls()).total).toBe(0);
      const large = { ...models.spare, contextWindow: 1_000_000 };
      await runtime.run(ask(text, [models.demo, large]), recordingIO(), never);
      expect((await spareCalls()).total).toBe(1);
    });

    it("stops asking a provider that is down, until it has had some time", async () => {
      const { runtime, ask, mainCalls, logger } = await open({
        retry: { maxRetries: 0 },
        breaker: { failures: 3, halfOpenAfterMs: 60_000 },
      });
      for (let i = 0; i < 3; i++) await runtime.run(ask("[[demo error=500]]"), recordingIO(), never);
      const outcome = await runtime.run(ask("hi"), recordingIO(), never);
      expect(outcome).toMatchObject({ status: "failed", error: { kind: "model_unavailable" } });
      expect((await mainCalls()).total).toBe(3);
      expect(logger.lines.map(({ event }) => event)).toContain("model.circuit_opened");
    });

    it.each(["hang", "stall=0", "stall=1"])(
      "does not wait for a provider that is silent: %s",
      async (how) => {
        const { runtime, ask, mainCalls } = await open({
          deadlines: { firstMs: 60, idleMs: 40 },
          retry: { maxRetries: 0 },
        });
        const outcome = await runtime.run(ask(`[[demo text=abcd chunks=2 ${how}]]`), recordingIO(), never);
        expect(outcome).toMatchObject({ status: "failed", error: { kind: "model_unavailable" } });
        await until(async () => (await mainCalls()).aborted === 1, { what: "the connection to be closed" });
      },
    );
  });

  describe("stopping", () => {
    it("closes the connection to the provider", async () => {
      const { runtime, ask, mainCalls } = await open();
      const abort = new AbortController();
      const io = recordingIO();
      const running = runtime.run(ask("[[demo text=abcd chunks=2 stall=1]]"), io, abort.signal);
      await io.seen("delta");
      abort.abort();
      expect(await running).toMatchObject({ status: "aborted", result: { text: "ab" } });
      await until(async () => (await mainCalls()).aborted === 1, { what: "the connection to be closed" });
    });

    it("does not wait out the pause before a retry", async () => {
      const { runtime, ask, mainCalls } = await open({ retry: { baseMs: 1e9, capMs: 1e9 } });
      const abort = new AbortController();
      const running = runtime.run(ask("[[demo error=500]]"), recordingIO(), abort.signal);
      await until(async () => (await mainCalls()).total === 1);
      abort.abort();
      expect(await running).toMatchObject({ status: "aborted" });
    });

    it("ends a run that calls the model again and again", async () => {
      const { runtime, ask } = await open({ maxSteps: 3 });
      const text = '[[demo tool=add{"a":1,"b":2}]]'.repeat(9);
      const io = recordingIO();
      const outcome = await runtime.run(ask(text, undefined, { tools: [addTool] }), io, never);
      expect(outcome).toMatchObject({ status: "failed", error: { kind: "max_steps" } });
      expect(io.steps().filter(({ kind }) => kind === "model")).toHaveLength(3);
    });
  });

  describe("credentials", () => {
    it("come from the run's own source, and appear in no error, event or log line", async () => {
      const { runtime, ask, models, logger } = await open();
      const secret = "sk-very-secret-4711";
      const asked: string[] = [];
      const io = recordingIO({
        credential: (provider) => {
          asked.push(provider);
          return Promise.resolve(secret);
        },
      });
      const model = { ...models.demo, headers: { "x-team-key": "team-secret-0815" } };
      const text = `[[demo error=401 message="unknown key ${secret}, team team-secret-0815"]]`;
      const outcome = await runtime.run(ask(text, [model]), io, never);
      expect(asked).toEqual(["demo"]);
      expect(outcome.error?.message).toContain("[redacted]");
      const told = JSON.stringify([outcome, io.log, logger.lines]);
      expect(told).not.toMatch(/very-secret|team-secret/);
    });

    it("that cannot be read now are asked for again, and count as a failure in the end", async () => {
      const { runtime, ask, mainCalls } = await open();
      let asked = 0;
      const away = (times: number) =>
        recordingIO({
          credential: () => {
            if (++asked <= times) throw new HAError("STORE_UNAVAILABLE", "postgres is away");
            return Promise.resolve(null);
          },
        });
      expect(await runtime.run(ask("hi"), away(1), never)).toMatchObject({ status: "succeeded" });
      asked = 0;
      expect(await runtime.run(ask("hi"), away(99), never)).toMatchObject({
        status: "failed",
        error: { kind: "model_unavailable", message: expect.stringContaining("key of demo") as string },
      });
      expect((await mainCalls()).total).toBe(1);
    });

    it("that are slow to come do not hold an abort up", async () => {
      const { runtime, ask } = await open();
      const abort = new AbortController();
      const { promise: asked, resolve } = Promise.withResolvers<void>();
      const io = recordingIO({
        credential: () => {
          resolve();
          return new Promise(() => undefined);
        },
      });
      const running = runtime.run(ask("hi"), io, abort.signal);
      await asked;
      abort.abort();
      expect(await running).toMatchObject({ status: "aborted", messages: [] });
    });

    it("are never taken from this process's environment, which belongs to no tenant", async () => {
      vi.stubEnv("OPENAI_API_KEY", "sk-of-the-process");
      onTestFinished(() => void vi.unstubAllEnvs());
      const headers: (string | undefined)[] = [];
      const server = createServer((request, response) => {
        headers.push(request.headers.authorization);
        response.writeHead(401).end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const { runtime, ask } = await open();
      const model = testModel(`http://127.0.0.1:${port}/v1`, { provider: "openai" });
      await runtime.run(ask("hi", [model]), recordingIO(), never);
      expect(headers).toEqual(["Bearer none"]);
    });
  });
});
