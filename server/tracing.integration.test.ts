import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { embeddedAgentRuntime } from "./adapters/embedded-agent/agent-runtime.ts";
import { memoryObjectStore } from "./adapters/memory/object-store.ts";
import { memoryRateLimiter } from "./adapters/memory/rate-limiter.ts";
import { noEventBus } from "./adapters/none/event-bus.ts";
import { noRunQueue } from "./adapters/none/run-queue.ts";
import { openTelemetryTracing } from "./adapters/opentelemetry/tracing.ts";
import { systemClock } from "./adapters/system/clock.ts";
import { systemRandom } from "./adapters/system/random.ts";
import { tenantId } from "./core/ids.ts";
import { startDemoModel } from "./demo-model/main.ts";
import { startGateway } from "./gateway/main.ts";
import { loadOpenClawConfig } from "./openclaw-config/load.ts";
import type { StoreFixture } from "./ports/contract/store-fixture.ts";
import type { Tracing } from "./ports/tracing.ts";
import { openPostgresStores } from "./testing/postgres-stores.ts";
import { recordingLogger } from "./testing/recording-logger.ts";
import { type TestDatabase, testPostgres } from "./testing/services.ts";
import { until } from "./testing/until.ts";
import { inProcessKeeper, ledgerHeartbeatLink } from "./worker/keep-lease.ts";
import { startWorker } from "./worker/main.ts";
import { ratioOf, wantsTraces } from "./wiring-tracing.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const TENANT = tenantId("traced");
const TOKEN = "token-of-traced";

let database: TestDatabase;
let stores: StoreFixture;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  stores = await openPostgresStores(database);
  await stores.directory.addTenant(TENANT, "shared");
  await stores.directory.addToken(TENANT, TOKEN, ["operator.admin"], "test");
});

afterAll(async () => {
  await stores?.close();
  await database?.drop();
});

/** A gateway and a worker that know each other through Postgres alone, each with an exporter of its own. */
async function setup(traced: boolean) {
  const common = { clock: systemClock, random: systemRandom, logger: recordingLogger() };
  const model = await startDemoModel({ ...common, host: "127.0.0.1", port: 0 });
  onTestFinished(() => model.close());
  const { catalog } = loadOpenClawConfig({ path: null, env: {}, demoModelUrl: model.url });
  const exporters = { gateway: new InMemorySpanExporter(), worker: new InMemorySpanExporter() };
  const tracingOf = (name: "gateway" | "worker"): { tracing?: Tracing } => {
    if (!traced) return {};
    const processor = new SimpleSpanProcessor({ exporter: exporters[name] });
    const tracing = openTelemetryTracing({ service: name, instance: name, version: "0", processor });
    onTestFinished(() => tracing.close());
    return { tracing };
  };
  const shared = { ...common, ...stores, catalog, queue: noRunQueue(), bus: noEventBus() };
  const parts = { ...shared, rateLimiter: memoryRateLimiter(common), objects: memoryObjectStore() };
  const gateway = await startGateway({
    ...parts,
    ...tracingOf("gateway"),
    configView: { path: "openclaw.json", exists: false, document: {}, hash: "" },
    settings: { instance: "gateway-1", version: "0.0.0-test", host: "127.0.0.1", port: 0 },
  });
  onTestFinished(() => gateway.close());
  const ofWorker = tracingOf("worker");
  const worker = await startWorker({
    ...parts,
    ...ofWorker,
    vault: { credential: () => Promise.resolve(null) },
    runtime: embeddedAgentRuntime({ ...common, ...ofWorker }),
    keepLease: inProcessKeeper({ ...common, link: () => ledgerHeartbeatLink(stores.ledger) }),
    instance: "worker-1",
    pools: ["shared"],
    slots: 4,
  });
  onTestFinished(() => worker.close());
  await worker.registered();
  const ask = (headers: Readonly<Record<string, string>>) =>
    fetch(`${gateway.url.replace("ws:", "http:")}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "openclaw", messages: [{ role: "user", content: "hello" }] }),
    });
  return { ask, exporters };
}

describe("a trace", () => {
  it("goes from the client's request through acceptance and queue to the worker and its model call", async () => {
    const { ask, exporters } = await setup(true);
    const response = await ask({ traceparent: `00-${TRACE}-${CALLER}-01` });
    expect(response.status).toBe(200);
    await response.json();
    const spans = await until(
      () => {
        const all = [...exporters.gateway.getFinishedSpans(), ...exporters.worker.getFinishedSpans()];
        return all.some(({ name }) => name === "execute run") ? all : null;
      },
      { what: "the end of the run's span" },
    );
    expect(spans.map((span) => span.spanContext().traceId)).toEqual(spans.map(() => TRACE));
    const named = (name: string) => spans.find((span) => span.name.startsWith(name))!;
    const [accept, queued, execute, call] = ["accept run", "run queued", "execute run", "chat "].map(named);
    const above = [accept, queued, execute, call].map((span) => span!.parentSpanContext?.spanId);
    const acceptId = accept!.spanContext().spanId;
    expect(above).toEqual([CALLER, acceptId, acceptId, execute!.spanContext().spanId]);
    expect(execute!.attributes).toMatchObject({ "openclaw.tenant": TENANT, "openclaw.run.attempt": 1 });
    expect(call!.attributes).toMatchObject({ "gen_ai.operation.name": "chat" });
    expect(exporters.gateway.getFinishedSpans().map(({ name }) => name)).toEqual(["accept run"]);
    expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain("hello");
  });

  it("begins at the gateway where the client names none, and is not kept where the client says so", async () => {
    const { ask, exporters } = await setup(true);
    await (await ask({ traceparent: "no trace" })).json();
    const [accept] = exporters.gateway.getFinishedSpans();
    expect(accept!.parentSpanContext).toBeUndefined();
    exporters.gateway.reset();
    exporters.worker.reset();
    await (await ask({ traceparent: `00-${TRACE}-${CALLER}-00` })).json();
    expect(exporters.gateway.getFinishedSpans()).toEqual([]);
    expect(
      exporters.worker.getFinishedSpans().filter((span) => span.spanContext().traceId === TRACE),
    ).toEqual([]);
  });

  it("is off by default: nothing of it is kept with the run", async () => {
    const { ask } = await setup(false);
    const response = await ask({ traceparent: `00-${TRACE}-${CALLER}-01`, "idempotency-key": "untraced" });
    await response.json();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    onTestFinished(() => client.end());
    const { rows } = await client.query(
      "SELECT options FROM openclaw_ha.runs WHERE run_id = 'chatcmpl_untraced'",
    );
    expect(rows).toEqual([{ options: {} }]);
  });
});

it("is switched on by OpenTelemetry's own variables", () => {
  expect(wantsTraces({})).toBe(false);
  expect(wantsTraces({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" })).toBe(true);
  expect(wantsTraces({ OTEL_TRACES_EXPORTER: "otlp" })).toBe(true);
  expect(wantsTraces({ OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_ENDPOINT: "http://x" })).toBe(false);
  expect(wantsTraces({ OTEL_TRACES_EXPORTER: "otlp", OTEL_SDK_DISABLED: "true" })).toBe(false);
  expect(ratioOf({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" })).toBe(
    0.25,
  );
  expect(ratioOf({})).toBe(1);
});
