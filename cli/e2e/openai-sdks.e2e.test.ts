import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import OpenAI, { AuthenticationError, BadRequestError } from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import { startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { until } from "../../server/testing/until.ts";

/** Made by bin/test where there is a Python that can make it. */
const PYTHON = fileURLToPath(new URL("../../.cache/python-openai/bin/python", import.meta.url));
const SCRIPT = fileURLToPath(new URL("openai-client.py", import.meta.url));

let deployment: TestDeployment;
let env: Record<string, string>;
beforeAll(async () => {
  deployment = await startDeployment();
  env = await deployment.env();
  return () => deployment.close();
});

/** `OPENAI_BASE_URL` of one gateway. */
async function baseUrl(gateway: string): Promise<string> {
  const { instances } = await deployment.status();
  const url = String(instances.find(({ id }) => id === gateway)?.url);
  return `${url.replace(/^ws/, "http")}/v1`;
}

const anyGateway = (): string => (Math.random() < 0.5 ? "gateway-1" : "gateway-2");

async function sdk(gateway: string = anyGateway(), apiKey = env["OPENAI_API_KEY"]): Promise<OpenAI> {
  return new OpenAI({ baseURL: await baseUrl(gateway), apiKey, maxRetries: 0 });
}

/** How often the model was asked something that holds the text. */
async function modelCalls(text: string): Promise<number> {
  const { demoModel } = await deployment.status();
  const report = (await (await fetch(`${demoModel?.url}/__demo/calls`)).json()) as {
    calls: { text: string }[];
  };
  return report.calls.filter((call) => call.text.includes(text)).length;
}

const ask = (content: string, user = "sdk") => ({
  model: "openclaw",
  user,
  messages: [{ role: "user" as const, content }],
});

describe("the published openai package", () => {
  it("works with what `env` prints, without anything else", async () => {
    const client = new OpenAI({ baseURL: env["OPENAI_BASE_URL"], apiKey: env["OPENAI_API_KEY"] });
    expect((await client.models.list()).data.map(({ id }) => id)).toContain("openclaw/main");
    const answer = await client.chat.completions.create(ask("hello out there"));
    expect(answer.choices[0]).toMatchObject({
      message: { role: "assistant", content: expect.stringContaining("hello out there") as unknown },
      finish_reason: "stop",
    });
    expect(answer.usage?.total_tokens).toBeGreaterThan(0);
    const limited = await client.chat.completions.create(ask("[[demo finish=length]] all of it"));
    expect(limited.choices[0]?.finish_reason).toBe("length");
  });

  it("streams, at one gateway and the other, in one session that remembers", async () => {
    for (const gateway of ["gateway-1", "gateway-2"]) {
      const client = await sdk(gateway);
      const stream = client.chat.completions.stream(ask(`[[demo chunks=5 delay=80]] through ${gateway}`));
      let deltas = 0;
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) deltas++;
      expect(deltas).toBeGreaterThan(1);
      expect((await stream.finalChatCompletion()).choices[0]?.message.content).toContain(gateway);
    }
    const client = await sdk();
    const recalled = await client.chat.completions.create(ask("[[demo recall]] what did I say?"));
    expect(recalled.choices[0]?.message.content).toMatch(/gateway-1[^]*gateway-2/);
  });

  it("gets responses, and goes on from one at another gateway", async () => {
    const first = await (
      await sdk("gateway-1")
    ).responses.create({ model: "openclaw", input: "remember me" });
    expect(first.output_text).toContain("remember me");
    const next = await (
      await sdk("gateway-2")
    ).responses.create({
      model: "openclaw",
      input: "[[demo recall]] and now?",
      previous_response_id: first.id,
    });
    expect(next.output_text).toContain("remember me");
  });

  it("raises its own errors", async () => {
    const client = await sdk();
    await expect(client.chat.completions.create({ ...ask("x"), model: "gpt-4" })).rejects.toThrow(
      BadRequestError,
    );
    const stranger = await sdk(anyGateway(), "wrong");
    await expect(stranger.chat.completions.create(ask("x"))).rejects.toThrow(AuthenticationError);
    const failed = client.chat.completions.create(ask("[[demo status=400]] no"));
    await expect(failed).rejects.toThrow(BadRequestError);
  });

  it("aborts the run that it cancels", async () => {
    const client = await sdk();
    const stream = await client.chat.completions.create({
      ...ask("[[demo chunks=600 delay=100 repeat=100]] on and on", "cancels"),
      stream: true,
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    const runs = async () =>
      (await deployment.cli(["runs", "list", "--session", "openai-user:cancels", "--json"])).json() as {
        status: string;
      }[];
    const [run] = await until(
      async () => {
        const found = await runs();
        return found[0]?.status === "running" ? null : found;
      },
      { what: "the end of the run" },
    );
    expect(run?.status).toBe("aborted");
  });

  it("whose gateway is killed sees the connection break, and gets the same run's answer under the same key", async () => {
    const text = "count the pieces of this one";
    const headers = { "Idempotency-Key": "killed-1" };
    const body = ask(`[[demo chunks=30 delay=100]] ${text}`, "killed");
    const client = await sdk("gateway-1");
    const stream = await client.chat.completions.create({ ...body, stream: true }, { headers });
    let seen = "";
    const read = async (): Promise<void> => {
      for await (const chunk of stream) {
        const piece = chunk.choices[0]?.delta.content ?? "";
        seen += piece;
        if (piece !== "" && seen === piece) await deployment.kill("gateway-1");
      }
    };
    await expect(read()).rejects.toThrow(/terminated|connection|socket|closed/i);
    const again = await sdk("gateway-2");
    const joined = await again.chat.completions.create({ ...body, stream: true }, { headers });
    let whole = "";
    for await (const chunk of joined) whole += chunk.choices[0]?.delta.content ?? "";
    expect(whole).toContain(text);
    expect(whole.startsWith(seen)).toBe(true);
    const answer = await again.chat.completions.create(body, { headers });
    expect(answer).toMatchObject({ id: "chatcmpl_killed-1", choices: [{ message: { content: whole } }] });
    expect(await modelCalls(text)).toBe(1);
    await deployment.ready();
  });

  it("does not notice that the worker of its run is killed", async () => {
    const text = "the worker goes and the text goes on";
    const client = await sdk();
    const stream = await client.chat.completions.create({
      ...ask(`[[demo chunks=30 delay=100]] ${text}`, "worker"),
      stream: true,
    });
    let whole = "";
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? "";
      whole += piece;
      if (piece === "" || whole !== piece) continue;
      const [run] = (
        await deployment.cli(["runs", "list", "--session", "openai-user:worker", "--json"])
      ).json() as { worker: string }[];
      await deployment.kill(String(run?.worker).split(".")[0] ?? "");
    }
    expect(whole).toContain(text);
    expect(whole.split(text)).toHaveLength(2);
    await deployment.ready();
  });
});

describe.skipIf(!existsSync(PYTHON))("the openai package for Python", () => {
  const python = async (step: string, more: Record<string, string> = {}, gateway = anyGateway()) => {
    const run = execa(PYTHON, [SCRIPT, step], {
      env: {
        OPENAI_BASE_URL: await baseUrl(gateway),
        OPENAI_API_KEY: String(env["OPENAI_API_KEY"]),
        ...more,
      },
      reject: false,
    });
    const lines = async (): Promise<Record<string, unknown>[]> => {
      const { stdout, stderr } = await run;
      if (stdout === "") throw new Error(stderr);
      return stdout.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    return { run, lines };
  };
  const ended = async (step: string, more?: Record<string, string>, gateway?: string) =>
    (await (await python(step, more, gateway)).lines()).at(-1);

  it("lists, answers, streams, raises", async () => {
    const [models, chat, stream, responses, refused] = await Promise.all(
      ["models", "chat", "stream", "responses", "refused"].map((step) => ended(step)),
    );
    expect(models).toEqual({ ids: ["openclaw", "openclaw/default", "openclaw/main"] });
    const content = expect.stringContaining("hello from Python") as unknown;
    expect(chat).toMatchObject({ content, tokens: expect.any(Number) as unknown });
    expect(stream).toMatchObject({ content, tokens: expect.any(Number) as unknown });
    expect(responses).toMatchObject({
      content,
      types: expect.arrayContaining(["response.completed"]) as unknown,
    });
    expect(refused).toMatchObject({ error: "BadRequestError", status: 400 });
  });

  it("aborts the run that it cancels", async () => {
    const asked = await ended("cancel", { TEXT: "[[demo chunks=600 delay=100 repeat=100]] on and on" });
    const show = async () =>
      (await deployment.cli(["runs", "show", String(asked?.["id"]), "--json"])).json() as { status: string };
    const run = await until(
      async () => {
        const { status } = await show();
        return status === "running" ? null : status;
      },
      { what: "the end of the run" },
    );
    expect(run).toBe("aborted");
  });

  it("whose gateway is killed gets the same run's answer under the same key", async () => {
    const more = { KEY: "killed-python", TEXT: "[[demo chunks=30 delay=100]] pieces for Python" };
    const first = await python("stream", more, "gateway-2");
    first.run.stdout.once("data", () => void deployment.kill("gateway-2"));
    expect((await first.lines()).at(-1)).toEqual({ error: expect.stringMatching(/Error$/) as unknown });
    const again = await ended("chat", more, "gateway-1");
    expect(again).toMatchObject({
      id: "chatcmpl_killed-python",
      content: expect.stringContaining("pieces for Python") as unknown,
    });
    expect(await modelCalls("pieces for Python")).toBe(1);
    await deployment.ready();
  });
});
