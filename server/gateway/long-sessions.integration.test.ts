import { describe, expect, it, onTestFinished } from "vitest";
import { embeddedAgentRuntime } from "../adapters/embedded-agent/agent-runtime.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { archive } from "../control/archiver.ts";
import { startDemoModel } from "../demo-model/main.ts";
import { gatewayPool } from "../testing/gateway-pool.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { until } from "../testing/until.ts";
import { connectWire } from "../testing/wire-client.ts";
import { inProcessKeeper, ledgerHeartbeatLink } from "../worker/keep-lease.ts";
import { startWorker } from "../worker/main.ts";
import { assembleGateway } from "./assemble.ts";

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex").toString("base64");
const KEY = "agent:main:main";

/** A gateway and a worker on stores in memory, with the demo model as one that takes images. */
async function setup() {
  const model = await startDemoModel({ port: 0, logger: recordingLogger() });
  onTestFinished(() => model.close());
  const pool = await gatewayPool();
  const [spec] = TEST_CATALOG.models;
  const catalog = {
    ...TEST_CATALOG,
    models: [{ ...spec!, baseUrl: model.url, input: ["text", "image"] as const }],
  };
  const { gateway } = assembleGateway({ ...pool.deps(), catalog });
  const client = await connectWire(gateway);
  const { random, logger } = pool;
  const runtime = embeddedAgentRuntime({ random, clock: systemClock, logger });
  const link = () => ledgerHeartbeatLink(pool.ledger.port);
  const newWorker = async () => {
    const worker = await startWorker({
      ...pool.deps(),
      clock: systemClock,
      catalog,
      runtime,
      vault: { credential: () => Promise.resolve(null) },
      keepLease: inProcessKeeper({ link, clock: systemClock, random }),
      instance: "worker-1",
      pools: ["shared"],
      slots: 4,
      backUpSweep: false,
    });
    onTestFinished(() => worker.close());
    await worker.registered();
    return worker;
  };
  const say = async (message: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> => {
    const idempotencyKey = random.uuid();
    await client.ok("chat.send", { sessionKey: KEY, message, idempotencyKey, ...more });
    await client.end(idempotencyKey);
    const { messages } = (await client.ok("chat.history", { sessionKey: KEY, limit: 1 })) as {
      messages: { content: { text: string }[] }[];
    };
    return messages[0]?.content[0]?.text ?? "";
  };
  return { pool, client, newWorker, say, logger };
}

interface Row {
  readonly role: string;
  readonly content: unknown;
  readonly __openclaw: { readonly seq: number; readonly kind?: string; readonly media?: unknown };
}

describe("a long session", () => {
  it("with attachments and compactions is paged through its segments, and goes on from the summary", async () => {
    const { pool, client, newWorker, say, logger } = await setup();
    const first = await newWorker();
    const attachments = [{ mimeType: "image/png", content: PNG }];
    expect(await say("a picture", { attachments })).toContain("You said: a picture [image image/png]");
    for (let i = 1; i <= 3; i++) await say(`turn ${i}`);
    expect(await client.ok("sessions.compact", { key: "main" })).toMatchObject({
      ok: true,
      key: KEY,
      compacted: true,
      result: { tokensBefore: expect.any(Number) as unknown, tokensAfter: expect.any(Number) as unknown },
    });
    for (let i = 4; i <= 6; i++) await say(`turn ${i}`);
    await archive({ sessions: pool.sessions.port, objects: pool.objects.port, logger, tailRows: 4 });

    const rows: Row[] = [];
    for (let offset: number | undefined = 0; offset !== undefined;) {
      const page = (await client.ok("chat.history", { sessionKey: KEY, limit: 3, offset })) as {
        messages: Row[];
        nextOffset?: number;
      };
      rows.unshift(...page.messages);
      offset = page.nextOffset;
    }
    expect(rows.map((row) => row["__openclaw"].seq)).toEqual(rows.map((_, i) => i + 1));
    expect(rows).toHaveLength(8 + 3 + 6);
    expect(rows[0]?.["__openclaw"].media).toMatchObject([{ contentType: "image/png", kind: "image" }]);
    const divider = rows.find(({ role }) => role === "system");
    expect(divider).toMatchObject({ content: [{ type: "text", text: "Compaction" }] });
    expect(Object.keys(divider!["__openclaw"])).toContain("tokensBefore");
    expect(JSON.stringify(divider)).not.toContain("turn 1");

    // Another worker, which holds nothing of it in memory.
    await first.close();
    await newWorker();
    const recalled = await say("what was it? [[demo recall]]");
    expect(recalled).toContain("<summary>");
    expect(recalled).toContain("turn 6");
    expect(recalled).not.toContain("image/png");
  });

  it("waits with a run whose attachment cannot be read now", async () => {
    const { pool, client, newWorker, say } = await setup();
    await newWorker();
    pool.objects.break("before", ["get"]);
    const saying = say("look", { attachments: [{ mimeType: "image/png", content: PNG }] });
    await until(() => pool.objects.calls.filter((call) => call === "get").length > 1);
    expect(client.frames.filter(({ event }) => event === "chat")).not.toContainEqual(
      expect.objectContaining({ payload: expect.objectContaining({ state: "final" }) as unknown }),
    );
    pool.objects.mend();
    expect(await saying).toContain("[image image/png]");
  });

  it("compacts by /compact with wishes, in its order and once for a key, and tells of it as an event", async () => {
    const { client, newWorker, say } = await setup();
    await newWorker();
    await say("one");
    await say("two");
    const compact = { sessionKey: KEY, message: "/compact [[demo text=shortened]]", idempotencyKey: "c-1" };
    await client.ok("chat.send", compact);
    const end = await client.end("c-1");
    expect(JSON.stringify(end)).toContain("⚙️ Compacted (");
    expect(await client.ok("chat.send", compact)).toMatchObject({ status: "ok" });
    const phases = () =>
      client.frames.flatMap(({ event, payload }) => {
        const { stream, data } = (payload ?? {}) as { stream?: string; data?: { phase: string } };
        return event === "agent" && stream === "compaction" ? [data?.phase] : [];
      });
    await until(() => phases().length > 0);
    expect(phases()).toEqual(["start", "end"]);
    expect(await say("three [[demo recall]]")).toContain("shortened");
    expect(await client.ok("sessions.compact", { key: "nobody" })).toMatchObject({
      ok: true,
      compacted: false,
    });
    const { session } = (await client.ok("sessions.describe", { key: "main" })) as {
      session: { totalTokens: number; contextTokens: number };
    };
    expect(session.contextTokens).toBe(100_000);
    expect(session.totalTokens).toBeGreaterThan(0);
    expect(session.totalTokens).toBeLessThan(1_000);
  });
});
