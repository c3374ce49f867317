import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { recordingLogger } from "../testing/recording-logger.ts";
import { until } from "../testing/until.ts";
import type { DemoCallReport } from "./call-log.ts";
import { startDemoModel } from "./main.ts";

async function open(scriptFile?: string) {
  const demo = await startDemoModel({ port: 0, logger: recordingLogger(), scriptFile });
  onTestFinished(() => demo.close());
  return {
    demo,
    ask: (content: string, extra: object = {}, init: RequestInit = {}) =>
      fetch(`${demo.url}/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ stream: true, messages: [{ role: "user", content }], ...extra }),
        ...init,
      }),
    report: async () => (await (await fetch(new URL("/__demo/calls", demo.url))).json()) as DemoCallReport,
  };
}

describe("demo model", () => {
  it("answers a request that does not stream with one document", async () => {
    const { ask } = await open();
    const response = await ask('hello [[demo usage=7/5/2 tool=add{"a":1}]]', { stream: false });
    expect(await response.json()).toMatchObject({
      choices: [
        {
          finish_reason: "tool_calls",
          message: { tool_calls: [{ function: { name: "add", arguments: '{"a":1}' } }] },
        },
      ],
      usage: { prompt_tokens: 7, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 2 } },
    });
  });

  it("lists its model and says that it is well", async () => {
    const { demo } = await open();
    expect(await (await fetch(`${demo.url}/models`)).json()).toMatchObject({ data: [{ id: "demo" }] });
    expect((await fetch(new URL("/healthz", demo.url))).status).toBe(200);
    expect((await fetch(new URL("/elsewhere", demo.url))).status).toBe(404);
  });

  it("fails as often as it is told, then answers", async () => {
    const { ask } = await open();
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await ask("[[demo error=503 times=2]] hi")).status);
    expect(statuses).toEqual([503, 503, 200]);
  });

  it("cuts the connection where it is told, after what came before has left", async () => {
    const { ask, report } = await open();
    const response = await ask("[[demo text=abcdef chunks=3 disconnect=2]]");
    const decoder = new TextDecoder();
    let received = "";
    await expect(async () => {
      for await (const bytes of response.body ?? []) received += decoder.decode(bytes, { stream: true });
    }).rejects.toThrow("terminated");
    expect(received.match(/"content"/g)).toHaveLength(2);
    expect(await report()).toMatchObject({ aborted: 0, inFlight: 0 });
  });

  it("notices and records that its client has left", async () => {
    const { ask, report } = await open();
    const abort = new AbortController();
    const response = await ask(
      "[[demo text=abcdef chunks=3 delay=60000]]",
      { user: "s1" },
      { signal: abort.signal },
    );
    await response.body?.getReader().read();
    expect(await report()).toMatchObject({ inFlight: 1 });
    abort.abort();
    await until(async () => (await report()).inFlight === 0);
    expect(await report()).toMatchObject({
      aborted: 1,
      calls: [{ session: "s1", aborted: true, status: 200 }],
    });
  });

  it("forgets its calls when it is told to", async () => {
    const { ask, demo, report } = await open();
    await (await ask("hi")).text();
    expect((await report()).total).toBe(1);
    await fetch(new URL("/__demo/reset", demo.url), { method: "POST" });
    expect(await report()).toMatchObject({ total: 0, calls: [] });
  });

  it.each([
    ["no JSON", "{", 400],
    ["no messages", "{}", 400],
    ["messages that are none", '{"messages":[null,{"content":7}]}', 200],
    ["a directive that it does not know", '{"messages":[{"role":"user","content":"[[demo x]]"}]}', 400],
  ])("answers a body with %s and goes on", async (_what, body, status) => {
    const { ask } = await open();
    expect((await ask("", {}, { body })).status).toBe(status);
    expect((await ask("still there?")).status).toBe(200);
  });

  it("follows a script file, one reply for each model call, and the default pace where no rule fits", async () => {
    const folder = await mkdtemp(join(tmpdir(), "demo-model-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "script.json");
    await writeFile(
      file,
      JSON.stringify({
        default: "chunks=1",
        rules: [{ contains: "weather", replies: ['tool=weather{"city":"Oslo"}', "text=Rain."] }],
      }),
    );
    const { ask } = await open(file);
    const body = { stream: false };
    expect(await (await ask("the weather?", body)).text()).toContain("Oslo");
    const second = [
      { role: "user", content: "the weather?" },
      { role: "assistant", content: "" },
      { role: "tool", content: "wet" },
    ];
    expect(await (await ask("", { ...body, messages: second })).text()).toContain("Rain.");
    expect((await (await ask("hello")).text()).match(/"content"/g)).toHaveLength(1);
  });

  it("names the file and the fault of a bad script, and the port that is taken", async () => {
    const folder = await mkdtemp(join(tmpdir(), "demo-model-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "script.json");
    await writeFile(file, '{"default":"lateness=5"}');
    await expect(open(file)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/script\.json.*lateness/) as string,
    });
    const { demo } = await open();
    await expect(startDemoModel({ port: demo.port, logger: recordingLogger() })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      details: {},
    });
  });
});
