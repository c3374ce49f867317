import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { describe, expect, it, onTestFinished } from "vitest";
import { mediaOf } from "../../../core/media.ts";
import { messageText } from "../../../core/transcript.ts";
import { ACME, ACME_TOKEN, gatewayPool, handWorker, READER_TOKEN } from "../../../testing/gateway-pool.ts";
import { runId as asRunId, sessionKey as asSessionKey } from "../../../core/ids.ts";
import { until } from "../../../testing/until.ts";
import type { GatewaySettings } from "../../context.ts";
import { startGateway } from "../../main.ts";

/** A pool with gateways of which the published SDK is a client, and a worker that the test plays. */
async function setup(settings: Partial<GatewaySettings> = {}) {
  const pool = await gatewayPool();
  const start = async () => {
    const gateway = await startGateway(pool.deps({ drainSpreadMs: 0, ...settings }));
    onTestFinished(() => gateway.close());
    return gateway;
  };
  const sdk = ({ port }: { readonly port: number }, apiKey = ACME_TOKEN): OpenAI =>
    new OpenAI({ apiKey, baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 });
  const gateway = await start();
  const worker = await handWorker(pool);
  /** Runs of a session as the store has them. */
  const runs = (key: string) => pool.ledger.port.list(ACME, { sessionKey: asSessionKey(key), limit: 10 });
  return { pool, gateway, start, sdk, client: sdk(gateway), worker, runs };
}

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
const SESSION = "agent:main:openai-user:ann";
const ask = { model: "openclaw", user: "ann", messages: [{ role: "user" as const, content: "hello" }] };

const statusOf = (error: unknown): unknown => (error instanceof APIError ? error.status : error);

describe("models", () => {
  it("are the agents", async () => {
    const { client } = await setup();
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    expect(ids).toEqual(["openclaw", "openclaw/default", "openclaw/main", "openclaw/work"]);
    expect(await client.models.retrieve("openclaw/work")).toMatchObject({
      id: "openclaw/work",
      owned_by: "openclaw",
    });
    await expect(client.models.retrieve("openclaw/nobody")).rejects.toThrow(NotFoundError);
    await expect(client.models.retrieve("gpt-4")).rejects.toThrow("400 Invalid model id.");
  });

  it("may be read with a token that may only read; runs may not be made", async () => {
    const { gateway, sdk } = await setup();
    const reader = sdk(gateway, READER_TOKEN);
    expect((await reader.models.list()).data).not.toHaveLength(0);
    await expect(reader.chat.completions.create(ask)).rejects.toThrow("403 missing scope: operator.write");
    const stranger = sdk(gateway, "wrong");
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
    await expect(stranger.chat.completions.create(ask)).rejects.toThrow("401 Unauthorized");
  });
});

describe("chat completions", () => {
  it("answer as a whole, with usage, in the user's session", async () => {
    const { client, worker, runs } = await setup();
    const asked = client.chat.completions.create(ask);
    const hand = await worker.claim(SESSION);
    await hand.finish("hi Ann");
    const answer = await asked;
    expect(answer).toMatchObject({
      id: hand.grant.runId,
      object: "chat.completion",
      model: "openclaw",
      choices: [{ index: 0, message: { role: "assistant", content: "hi Ann" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    });
    expect(answer.id).toMatch(/^chatcmpl_/);
    expect(await runs(SESSION)).toHaveLength(1);
  });

  it("stream deltas that add up to the answer, then the usage that was asked for", async () => {
    const { client, worker } = await setup();
    const stream = await client.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    const hand = await worker.claim(SESSION);
    await hand.say({ type: "started", text: "" }, { type: "delta", text: "hi " });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
      if (chunk.choices[0]?.delta.content === "hi ") {
        await hand.say({ type: "delta", text: "Ann" });
        await hand.finish("hi Ann");
      }
    }
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: "assistant" });
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe("hi Ann");
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason).filter(Boolean)).toEqual(["stop"]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 3 } });
    expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set([hand.grant.runId]));
  });

  it("stream what the agent said before it used a tool as a paragraph of its own", async () => {
    const { client, pool, worker } = await setup();
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    const hand = await worker.claim(SESSION);
    const content = [{ type: "text", text: "Let me look." }] as const;
    const row = {
      seq: 2,
      messageId: "m2",
      parentId: null,
      runId: hand.grant.runId,
      idempotencyKey: null,
      body: { inline: { role: "assistant", content, timestamp: 1 } },
      createdAt: pool.clock.now(),
    } as const;
    await hand.say(
      { type: "started", text: "" },
      { type: "delta", text: "Let me look." },
      { type: "message", row },
      { type: "replace", text: "" },
      { type: "delta", text: "It is 3." },
    );
    await hand.finish("It is 3.");
    let text = "";
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
    expect(text).toBe("Let me look.\n\nIt is 3.");
  });

  it("never glue two attempts together: what was taken back is an error, the key gets the whole answer", async () => {
    const { client, worker } = await setup();
    const headers = { "Idempotency-Key": "once" };
    const stream = await client.chat.completions.create({ ...ask, stream: true }, { headers });
    const hand = await worker.claim(SESSION);
    await hand.say({ type: "started", text: "" }, { type: "delta", text: "one text" });
    let text = "";
    const read = async (): Promise<void> => {
      for await (const { choices } of stream) {
        const content = choices[0]?.delta.content ?? "";
        text += content;
        if (content === "") continue;
        await hand.say({ type: "replace", text: "another" });
        await hand.finish("another text");
      }
    };
    await expect(read()).rejects.toThrow("append-only");
    expect(text).toBe("one text");
    const again = await client.chat.completions.create(ask, { headers });
    expect(again.choices[0]?.message.content).toBe("another text");
  });

  it("go on where an attempt that was repeated says the same again", async () => {
    const { client, worker } = await setup();
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    const hand = await worker.claim(SESSION);
    await hand.say({ type: "started", text: "" }, { type: "delta", text: "the same" });
    const pieces: string[] = [];
    for await (const { choices } of stream) {
      const content = choices[0]?.delta.content ?? "";
      if (content !== "") pieces.push(content);
      if (content !== "the same") continue;
      await hand.say({ type: "replace", text: "" });
      await hand.say({ type: "delta", text: "the" });
      await hand.say({ type: "delta", text: " same te" });
      await hand.finish("the same text");
    }
    expect(pieces).toEqual(["the same", " te", "xt"]);
  });

  it("tell the agent the whole conversation as OpenClaw does, instructions and settings beside it", async () => {
    const { client, pool, worker } = await setup();
    const image = { url: `data:image/png;base64,${PNG.toString("base64")}` };
    const asked = client.chat.completions.create({
      model: "openclaw/work",
      user: "Bob",
      temperature: 0.5,
      max_tokens: 100,
      stop: "END",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "one" },
        { role: "assistant", content: "two" },
        { role: "developer", content: "Be kind." },
        {
          role: "user",
          content: [
            { type: "text", text: "three" },
            { type: "image_url", image_url: image },
          ],
        },
      ],
    });
    const hand = await worker.claim("agent:work:openai-user:bob");
    const { grant } = hand;
    expect(grant.input.options).toEqual({
      extraSystemPrompt: "Be brief.\n\nBe kind.",
      sampling: { maxTokens: 100, temperature: 0.5, stop: ["END"] },
    });
    const { rows } = await pool.sessions.port.context(ACME, grant.sessionKey, 0);
    const body = rows[0]?.body;
    const message = body && "inline" in body ? body.inline : null;
    expect(message === null ? "" : messageText(message)).toBe(
      [
        "[Chat messages since your last reply - for context]",
        "User: one",
        "Assistant: two",
        "",
        "[Current message - respond to this]",
        "User: three",
      ].join("\n"),
    );
    expect(message && mediaOf(message)).toMatchObject([{ kind: "image", contentType: "image/png" }]);
    await hand.finish("four");
    await asked;
  });

  it("use the session that the header names, and a new one for a request that names none", async () => {
    const { client, worker, pool } = await setup();
    const named = client.chat.completions.create(ask, { headers: { "x-openclaw-session-key": "Notes" } });
    await (await worker.claim("agent:main:notes")).finish("noted");
    await named;
    const messages = ask.messages;
    const asked = [1, 2].map(() => client.chat.completions.create({ model: "openclaw", messages }));
    const { sessions } = await until(
      async () => {
        const page = await pool.sessions.port.list(ACME, { limit: 10 });
        return page.sessions.length === 3 ? page : null;
      },
      { what: "three sessions" },
    );
    const keys = sessions.map(({ key }) => key).filter((key) => key.startsWith("agent:main:openai:"));
    expect(keys).toHaveLength(2);
    for (const key of keys) await (await worker.claim(key)).finish("hello");
    await Promise.all(asked);
    const reserved = { headers: { "x-openclaw-session-key": "agent:main:cron:x" } };
    await expect(client.chat.completions.create(ask, reserved)).rejects.toThrow("reserved internal session");
  });

  it.each([
    [{ ...ask, model: "gpt-4" }, "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`."],
    [{ ...ask, model: "openclaw/nobody" }, "Unknown agent 'nobody'."],
    [{ ...ask, messages: [] }, "Missing user message in `messages`."],
    [{ ...ask, temperature: 7 }, "at /temperature"],
    [{ ...ask, n: 3 }, "leave `n` out"],
    [{ ...ask, stop: ["a", "b", "c", "d", "e"] }, "at /stop"],
    [{ ...ask, user: "a\u0000b" }, "invalid session key"],
    [{ ...ask, tools: [{ type: "function", function: { name: "f" } }] }, "`tools` of a client"],
    [
      {
        ...ask,
        messages: [
          { role: "user", content: [{ type: "image_url", image_url: { url: "http://10.0.0.1/x.png" } }] },
        ],
      },
      "addresses are not fetched",
    ],
  ])("refuse what cannot be: %j", async (body, message) => {
    const { client } = await setup();
    const asked = client.chat.completions.create(body as OpenAI.ChatCompletionCreateParams);
    await expect(asked).rejects.toThrow(BadRequestError);
    await expect(asked).rejects.toThrow(message);
  });

  it("that fail tell why, as the status and in the stream", async () => {
    const { client, worker } = await setup();
    const whole = client.chat.completions.create(ask).catch((error: unknown) => error);
    await (await worker.claim(SESSION)).end("failed");
    expect(await whole).toMatchObject({
      status: 401,
      type: "authentication_error",
      code: "model_auth",
      message: expect.stringContaining("the model refused the key") as unknown,
    });
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    await (await worker.claim(SESSION)).end("failed");
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow("the model refused the key");
  });

  it("that are given up are aborted, queued or running, streamed or not", async () => {
    const { client, worker, runs } = await setup();
    const over = new AbortController();
    const waiting = client.chat.completions.create(ask, { signal: over.signal }).catch(String);
    const running = await worker.claim(SESSION);
    const second = client.chat.completions.create({ ...ask, stream: true }, { signal: over.signal });
    await second;
    over.abort();
    await waiting;
    const records = await until(
      async () => {
        const found = await runs(SESSION);
        const given = found.filter(({ abortRequested, status }) => abortRequested || status === "aborted");
        return given.length === 2 ? found : null;
      },
      { what: "both runs aborted" },
    );
    expect(records.map(({ status: end }) => end).toSorted()).toEqual(["aborted", "running"]);
    expect(records.find(({ runId }) => runId === running.grant.runId)?.abortRequested).toBe(true);
  });
});

describe("an Idempotency-Key", () => {
  const keyed = (key: string) => ({ headers: { "Idempotency-Key": key } });

  it("gets one run, whoever asks: joined while it runs, answered afterwards, at any gateway", async () => {
    const { client, start, sdk, worker, runs } = await setup();
    const other = sdk(await start());
    const first = client.chat.completions.create(ask, keyed("k1"));
    const hand = await worker.claim(SESSION);
    await hand.say({ type: "started", text: "" }, { type: "delta", text: "hi " });
    const joined = await other.chat.completions.create({ ...ask, stream: true }, keyed("k1"));
    const again = other.chat.completions.create(ask, keyed("k1"));
    await hand.say({ type: "delta", text: "Ann" });
    await hand.finish("hi Ann");
    let text = "";
    for await (const { choices } of joined) text += choices[0]?.delta.content ?? "";
    expect(text).toBe("hi Ann");
    const answers = [await first, await again, await client.chat.completions.create(ask, keyed("k1"))];
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    expect(await runs(SESSION)).toHaveLength(1);
  });

  it("names the session too, where the request has none of its own", async () => {
    const { client, worker, pool } = await setup();
    const { messages, model } = ask;
    const first = client.chat.completions.create({ model, messages }, keyed("alone"));
    const run = await until(() => pool.ledger.port.get(ACME, asRunId("chatcmpl_alone")), { what: "the run" });
    await (await worker.claim(run.sessionKey)).finish("once");
    expect(await client.chat.completions.create({ model, messages }, keyed("alone"))).toEqual(await first);
  });

  it("used for another text or other instructions is a conflict that the SDK does not repeat", async () => {
    const { gateway, client, worker } = await setup();
    const first = client.chat.completions.create(ask, keyed("k2"));
    await (await worker.claim(SESSION)).finish("hi");
    await first;
    const patient = new OpenAI({
      apiKey: ACME_TOKEN,
      baseURL: `http://127.0.0.1:${gateway.port}/v1`,
      maxRetries: 5,
    });
    const instructed = { ...ask, messages: [{ role: "system" as const, content: "x" }, ...ask.messages] };
    const other = { ...ask, messages: [{ role: "user" as const, content: "other" }] };
    for (const body of [instructed, other]) {
      const startedAt = performance.now();
      const refused = await patient.chat.completions
        .create(body, keyed("k2"))
        .catch((error: unknown) => error);
      expect(refused).toMatchObject({ status: 409, code: "chat-request-conflict" });
      expect(performance.now() - startedAt).toBeLessThan(400); // its first retry waits longer
    }
  });

  it("keeps its run going when the connection breaks", async () => {
    const { client, worker, runs } = await setup();
    const over = new AbortController();
    const asked = client.chat.completions.create(ask, { ...keyed("k3"), signal: over.signal }).catch(String);
    const hand = await worker.claim(SESSION);
    over.abort();
    await asked;
    const again = client.chat.completions.create(ask, keyed("k3"));
    await hand.finish("still here");
    expect((await again).choices[0]?.message.content).toBe("still here");
    expect(await runs(SESSION)).toMatchObject([{ status: "succeeded", abortRequested: false }]);
  });

  it("too long is refused", async () => {
    const { client } = await setup();
    await expect(client.chat.completions.create(ask, keyed("k".repeat(201)))).rejects.toThrow(
      "at most 200 characters",
    );
  });
});

describe("responses", () => {
  const SESSION_OF_USER = "agent:main:openresponses-user:ann";
  const input = { model: "openclaw", user: "ann", input: "hello" };

  it("answer as a whole", async () => {
    const { client, worker } = await setup();
    const asked = client.responses.create({ ...input, instructions: "Be brief." });
    const hand = await worker.claim(SESSION_OF_USER);
    expect(hand.grant.input.options).toEqual({ extraSystemPrompt: "Be brief." });
    await hand.finish("hi Ann");
    const answer = await asked;
    expect(answer.output_text).toBe("hi Ann");
    expect(answer).toMatchObject({
      id: hand.grant.runId,
      status: "completed",
      usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
    });
  });

  it("stream OpenAI's events in their order", async () => {
    const { client, worker } = await setup();
    const stream = client.responses.stream(input);
    const types: string[] = [];
    stream.on("event", (event) => void types.push(event.type));
    const hand = await worker.claim(SESSION_OF_USER);
    await hand.say({ type: "started", text: "" }, { type: "delta", text: "hi " });
    await until(() => types.includes("response.output_text.delta"));
    await hand.say({ type: "delta", text: "Ann" });
    await hand.finish("hi Ann");
    await stream.done();
    expect(types).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect((await stream.finalResponse()).output_text).toBe("hi Ann");
  });

  it("go on in the session of the response before, at any gateway", async () => {
    const { client, pool, start, sdk, worker } = await setup();
    const first = client.responses.create({ model: "openclaw", input: "one", store: true });
    const started = await until(
      async () => (await pool.sessions.port.list(ACME, { limit: 1 })).sessions.at(0)?.key,
      { what: "the session" },
    );
    await (await worker.claim(started)).finish("1");
    const { id } = await first;
    const other = sdk(await start());
    const second = other.responses.create({ model: "openclaw", input: "two", previous_response_id: id });
    await (await worker.claim(started)).finish("2");
    expect((await second).output_text).toBe("2");
  });

  it("that fail say so in the stream, and the SDK's parser takes it", async () => {
    const { client, worker } = await setup();
    const stream = await client.responses.create({ ...input, stream: true });
    await (await worker.claim(SESSION_OF_USER)).end("failed");
    let last: unknown = null;
    for await (const event of stream) last = event;
    expect(last).toMatchObject({
      type: "response.failed",
      response: { status: "failed", error: { code: "model_auth", message: "the model refused the key" } },
    });
    const whole = client.responses.create(input).catch((error: unknown) => error);
    await (await worker.claim(SESSION_OF_USER)).end("timed_out");
    expect(await whole).toMatchObject({ status: 504, code: "run_timeout" });
  });
});

describe("a pool in trouble", () => {
  it("is 503 while the database is away, and nothing was made", async () => {
    const { client, pool, runs } = await setup();
    await client.models.list(); // the token is known from here on
    pool.ledger.break("before");
    const refused = await client.chat.completions.create(ask).catch((error: unknown) => error);
    expect(statusOf(refused)).toBe(503);
    expect((refused as APIError).headers?.get("retry-after")).toBe("1");
    pool.ledger.mend();
    expect(await runs(SESSION)).toEqual([]);
  });

  it("is 429 with Retry-After when too much waits already", async () => {
    const { client, worker } = await setup({ limits: { httpAnswers: 1 } });
    const first = client.chat.completions.create(ask);
    const hand = await worker.claim(SESSION);
    const refused = await client.chat.completions.create(ask).catch((error: unknown) => error);
    expect(statusOf(refused)).toBe(429);
    expect((refused as APIError).headers?.get("retry-after")).toBe("1");
    await hand.finish("hi");
    await first;
  });

  it("a draining gateway lets answers end, then tells the rest to come again", async () => {
    const { client, gateway, worker } = await setup({ limits: { httpDrainMs: 500 } });
    const first = client.chat.completions.create(ask);
    const read = async (): Promise<unknown> => {
      const body = { ...ask, user: "bob", stream: true as const };
      const stream = await client.chat.completions.create(body, { headers: { "Idempotency-Key": "d" } });
      for await (const _ of stream);
      return null;
    };
    const keyed = read().catch((error: unknown) => error);
    const hand = await worker.claim(SESSION);
    await worker.claim("agent:main:openai-user:bob");
    const drained = gateway.drain();
    await until(() =>
      client.chat.completions
        .create(ask)
        .catch(statusOf)
        .then((code) => code !== 200),
    );
    await hand.finish("in time");
    expect((await first).choices[0]?.message.content).toBe("in time");
    expect(await keyed).toMatchObject({ code: "gateway-restarting" });
    await drained;
  });
});
