import { describe, expect, it, onTestFinished } from "vitest";
import { embeddedAgentRuntime } from "../adapters/embedded-agent/agent-runtime.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { type CompactionPolicy, compactionOf } from "../core/compaction.ts";
import { messageText, type TranscriptMessage } from "../core/transcript.ts";
import type { DemoCallReport } from "../demo-model/call-log.ts";
import { startDemoModel } from "../demo-model/main.ts";
import type { RunLedger } from "../ports/run-ledger.ts";
import { memoryPool, SESSION, TENANT } from "../testing/memory-pool.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import type { WorkerDeps } from "./main.ts";

/** A window of 2,000 tokens: full above 1,500, and 750 of the newest are kept. */
const WINDOW = 2_000;
const LONG = "x".repeat(1_200);

async function setup(policy: Partial<CompactionPolicy> = {}) {
  const model = await startDemoModel({ port: 0, logger: recordingLogger() });
  const writer = await startDemoModel({ port: 0, logger: recordingLogger() });
  onTestFinished(async () => void (await Promise.all([model.close(), writer.close()])));
  const pool = await memoryPool();
  const [spec] = TEST_CATALOG.models;
  const catalog = {
    ...TEST_CATALOG,
    agents: TEST_CATALOG.agents.map((agent) => ({ ...agent, model: "demo/small", fallbacks: [] })),
    models: [
      { ...spec!, id: "small", baseUrl: model.url, contextWindow: WINDOW },
      { ...spec!, id: "writer", baseUrl: writer.url },
    ],
    compaction: { ...TEST_CATALOG.compaction, ...policy },
  };
  const runtime = embeddedAgentRuntime({
    random: seededRandom(1),
    clock: systemClock,
    logger: recordingLogger(),
    retry: { maxRetries: 0, baseMs: 1, capMs: 10 },
  });
  const worker = (more: Partial<WorkerDeps> = {}) => pool.worker({ catalog, runtime, ...more });
  const say = async (text: string, run: string) => pool.ended(await pool.send(text, run));
  const messages = async (): Promise<TranscriptMessage[]> => {
    const { rows } = await pool.sessions.port.history(TENANT, SESSION, { limit: 1_000 });
    return rows.flatMap(({ body }) => ("inline" in body ? [body.inline] : []));
  };
  const compactions = async () => (await messages()).map(compactionOf).filter((made) => made !== null);
  const summariesAsked = async (of = model): Promise<number> => {
    const report = (await (await fetch(new URL("/__demo/calls", of.url))).json()) as DemoCallReport;
    return report.calls.filter(({ text }) => text.startsWith("<conversation>")).length;
  };
  return { pool, worker, say, messages, compactions, summariesAsked, writer };
}

const fill = async (say: (text: string, run: string) => Promise<unknown>, turns: number): Promise<void> => {
  for (let i = 1; i <= turns; i++) await say(`fact ${i} ${LONG} [[demo text="noted"]]`, `fill-${i}`);
};

/** A ledger on which a checkpoint with a compaction is never answered; `before`: nor stored. */
function stuck(ledger: RunLedger, before: boolean): { ledger: RunLedger; reached: Promise<void> } {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  const isCompaction = (batch: Parameters<RunLedger["checkpoint"]>[0]): boolean =>
    batch.some(({ messages }) => messages.some(({ messageId }) => messageId.startsWith("compaction:")));
  const checkpoint: RunLedger["checkpoint"] = async (batch) => {
    if (!isCompaction(batch)) return ledger.checkpoint(batch);
    if (!before) await ledger.checkpoint(batch);
    resolve();
    return new Promise(() => undefined);
  };
  return { ledger: { ...ledger, checkpoint }, reached };
}

describe("a context that fills its model's window", () => {
  it("is summarised before the run; the run has summary and newest messages, the history keeps all", async () => {
    const { worker, say, messages, compactions, summariesAsked, pool } = await setup();
    await worker();
    await fill(say, 3);
    await say(`fact 4 ${LONG} [[demo text="noted" usage=1600/10]]`, "fill-4");
    expect(await compactions()).toEqual([]);
    const run = await say("and now? [[demo recall]]", "now");
    const [made] = await compactions();
    expect(made).toMatchObject({ summary: expect.stringContaining("- said: fact 1") as unknown });
    expect(made!.tokensAfter).toBeLessThan(made!.tokensBefore);
    expect(run.result?.text).toContain("<summary>");
    expect(run.result?.text).toContain("fact 4");
    expect(run.result?.text).not.toMatch(/said: fact 1 x{50}|\| fact 1/);
    expect(run.result?.contextTokens).toBeLessThan(1_500);
    expect((await messages()).filter(({ role }) => role !== "system")).toHaveLength(10);
    const phases = pool.events.flatMap(({ body }) => (body.type === "compaction" ? [body.phase] : []));
    expect(phases).toEqual(["start", "end"]);
    // The next run is given the same summary and makes no other.
    expect((await say("more? [[demo recall]]", "more")).result?.text).toContain("<summary>");
    expect(await summariesAsked()).toBe(1);
    expect(await pool.sessions.port.get(TENANT, SESSION)).toMatchObject({
      contextTokens: expect.any(Number),
    });
  });

  it("is summarised when the provider calls it too long, once", async () => {
    const { worker, say, compactions } = await setup();
    await worker();
    await fill(say, 4);
    const run = await say("hello [[demo window=1000]]", "over");
    expect(run).toMatchObject({ status: "succeeded" });
    expect(await compactions()).toHaveLength(1);
    const lost = await say("hello [[demo window=1]]", "always");
    expect(lost).toMatchObject({ status: "failed", error: { kind: "context_overflow" } });
  });

  it("is summarised only when the provider calls it too long, where that is configured", async () => {
    const { worker, say, compactions } = await setup({ isProactive: false });
    await worker();
    await fill(say, 4);
    await say(`fact 5 ${LONG} [[demo text="noted" usage=1900/10]]`, "fill-5");
    await say("and now?", "now");
    expect(await compactions()).toEqual([]);
    expect(await say("hello [[demo window=1400]]", "over")).toMatchObject({ status: "succeeded" });
    expect(await compactions()).toHaveLength(1);
  });

  it("is summarised by the model that is named for it, down to the tokens that are to be kept", async () => {
    const { worker, say, summariesAsked, writer, compactions } = await setup({
      model: "demo/writer",
      keepRecentTokens: 1,
    });
    await worker();
    await fill(say, 4);
    await say(`fact 5 ${LONG} [[demo text="noted" usage=1600/10]]`, "fill-5");
    const run = await say("and now? [[demo recall]]", "now");
    expect(run).toMatchObject({ status: "succeeded", result: { model: { model: "small" } } });
    expect((await compactions()).length).toBeGreaterThan(0);
    expect(await summariesAsked()).toBe(0);
    expect(await summariesAsked(writer)).toBeGreaterThan(0);
    expect(run.result?.text).not.toMatch(/\| fact/);
  });

  it("is summarised again by the next worker when the first one dies before the row is written", async () => {
    const { pool, worker, say, compactions, summariesAsked } = await setup();
    const first = stuck(pool.realLedger, true);
    const dying = await worker({ ledger: first.ledger });
    await fill(say, 4);
    const run = await pool.send(`go on ${LONG}`, "go-on");
    await first.reached;
    await dying.close();
    await worker();
    await pool.queue.port.enqueue([{ tenant: TENANT, sessionKey: SESSION, lane: "main", pool: "shared" }]);
    expect(await pool.ended(run)).toMatchObject({ status: "succeeded", attempt: 2 });
    expect([await compactions(), await summariesAsked()]).toMatchObject([{ length: 1 }, 2]);
  });

  it("is not summarised again when the worker dies after the row is written", async () => {
    const { pool, worker, say, compactions, summariesAsked } = await setup();
    const first = stuck(pool.realLedger, false);
    const dying = await worker({ ledger: first.ledger });
    await fill(say, 4);
    const run = await pool.send(`go on ${LONG} [[demo recall]]`, "go-on");
    await first.reached;
    await dying.close();
    await worker();
    await pool.queue.port.enqueue([{ tenant: TENANT, sessionKey: SESSION, lane: "main", pool: "shared" }]);
    const ended = await pool.ended(run);
    expect(ended).toMatchObject({ status: "succeeded", attempt: 2 });
    expect(ended.result?.text).toContain("<summary>");
    expect([await compactions(), await summariesAsked()]).toMatchObject([{ length: 1 }, 1]);
  });
});

describe("a compaction by command", () => {
  it("summarises all but the last message with the user's wishes, and is no part of the context", async () => {
    const { pool, worker, say, compactions, messages } = await setup();
    await worker();
    await fill(say, 2);
    const compact = { instructions: 'look at facts [[demo text="only facts"]]' };
    const run = await pool.ended(await pool.send("/compact", "c-1", { options: { compact } }));
    expect(run.result).toMatchObject({ stopReason: "stop", compaction: { compacted: true } });
    expect(run.result?.text).toMatch(/^⚙️ Compacted \(.+ → .+\)/);
    expect(await compactions()).toMatchObject([
      { summary: expect.stringContaining("only facts") as unknown },
    ]);
    const next = await say("what now? [[demo recall]]", "next");
    expect(next.result?.text).toContain("only facts");
    expect(next.result?.text).not.toContain("fact 1");
    expect((await messages()).map(messageText)).toContainEqual(expect.stringContaining("fact 1"));
  });

  it("says so where there is nothing to compact, and ends as failed where the model fails", async () => {
    const { pool, worker, say } = await setup();
    await worker();
    const compact = { instructions: "" };
    const empty = await pool.ended(await pool.send("/compact", "c-1", { options: { compact } }));
    expect(empty.result).toMatchObject({
      compaction: { compacted: false, reason: "Nothing to compact (session too small)" },
    });
    await fill(say, 2);
    const refused = { instructions: "[[demo status=401]]" };
    const failed = await pool.ended(await pool.send("/compact", "c-2", { options: { compact: refused } }));
    expect(failed).toMatchObject({ status: "failed", error: { kind: "model_auth" } });
  });
});
