import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startDeployment, type TestDeployment } from "../../testing/deployment.ts";
import { gatewayPool } from "../../testing/gateway-pool.ts";
import type { SocketClient } from "../../testing/socket-client.ts";
import { until } from "../../testing/until.ts";
import { assembleGateway } from "../assemble.ts";
import { exchange, type FuzzTarget } from "./client.ts";
import { sentMessages } from "./frames.ts";
import { ask, blurt, httpRequests } from "./http.ts";
import { type Footprint, footprint, growthMb } from "./watch.ts";

/** How long, and from which seed; `OPENCLAW_HA_FUZZ_SECONDS=7200` for nights. */
const SECONDS = Number(process.env["OPENCLAW_HA_FUZZ_SECONDS"] ?? 28);
const SEED = Number(process.env["OPENCLAW_HA_FUZZ_SEED"] ?? Date.now() % 2 ** 31);
/** fast-check's own: goes straight to one case, as a failure prints it. */
const PATH = process.env["OPENCLAW_HA_FUZZ_PATH"];
/**
 * What a warm gateway may grow by. In half a minute most of it is heap that V8 takes before it collects; over hours a
 * leak of a hundred bytes a request would be far above it.
 */
const GROWTH_MAX_MB = 160;
const HANDLES_LEFT_MAX = 8;

let deployment: TestDeployment;
let target: FuzzTarget;
let pid: number;
let bystander: SocketClient;
const samples: Footprint[] = [];

beforeAll(async () => {
  deployment = await startDeployment({ gateways: 1, workers: 1 });
  const token = String((await deployment.env())["OPENCLAW_GATEWAY_TOKEN"]);
  const url = String((await deployment.status()).instances.find(({ pool }) => pool === "gateway")?.url);
  target = { url, token, secrets: [token, deployment.folder] };
  pid = await deployment.pidOf("gateway-1");
  bystander = await deployment.connect(url, { caps: ["session-scoped-events"] });
  await bystander.ok("sessions.messages.subscribe", { key: "bystander" });
});
afterAll(() => deployment?.close());

let greetings = 0;

/** Another client chats on the one connection it has had all the time. */
async function greet(): Promise<void> {
  const runId = `greeting-${++greetings}`;
  const message = "[[demo text=welcome]] good day";
  await bystander.ok("chat.send", { sessionKey: "bystander", message, idempotencyKey: runId });
  expect(await bystander.end(runId)).toMatchObject({ state: "final" });
  samples.push(footprint(pid));
}

/** What a failure prints: fast-check's report has the seed, the path and the smallest case that still fails. */
const parameters = <T>(share: number): fc.Parameters<T> => ({
  seed: SEED,
  ...(PATH === undefined ? {} : { path: PATH }),
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: SECONDS * 1_000 * share,
  markInterruptAsFailure: false,
});

const LONG = { timeout: (SECONDS + 120) * 1_000 };

/**
 * Runs the property beside the bystander, who is never disturbed; then the gateway is what it was before. Answers how
 * many cases were played. @throws Error with fast-check's report, or what the bystander or the gateway suffered
 */
async function hold<T>(property: fc.IAsyncProperty<T>, share: number): Promise<number> {
  const before = footprint(pid).handles;
  const greeting = new AbortController();
  const greeted = (async () => {
    for (; !greeting.signal.aborted; await sleep(250)) await greet();
  })();
  greeted.catch(() => undefined);
  const played = await fc.check(property, parameters<T>(share));
  greeting.abort();
  if (played.failed) throw await failure(played);
  await greeted;
  expect(await deployment.pidOf("gateway-1")).toBe(pid);
  expect((await fetch(`${target.url.replace("ws", "http")}/healthz`)).ok).toBe(true);
  const left = (): number => footprint(pid).handles - before;
  await until(() => left() <= HANDLES_LEFT_MAX, { timeoutMs: 30_000, what: "the end of every connection" });
  return played.numRuns;
}

/** What went wrong, and fast-check's report; one character many times over is told by its number. */
async function failure<T>(played: fc.RunDetails<T>): Promise<Error> {
  const report = `${String(played.errorInstance)}\n${await fc.asyncDefaultReportMessage(played)}`;
  const told = (run: string, one: string): string => `${one}…(${run.length} times)`;
  return new Error(report.replaceAll(/(.)\1{80,}/gsu, told).slice(0, 8_000));
}

/** Fewer cases in that time would mean that the test waits where it should send. */
const CASES_MIN = 20;

it("whatever connected clients send, each request is answered once or its socket closed", LONG, async () => {
  const { gateway } = assembleGateway((await gatewayPool()).deps());
  const messages = fc.array(sentMessages(gateway.methods), { minLength: 1, maxLength: 30 });
  const cases = await hold(
    fc.asyncProperty(messages, (all) => exchange(target, all, true)),
    0.6,
  );
  expect(cases).toBeGreaterThan(CASES_MIN);
});

it("whatever strangers send, they are refused", LONG, async () => {
  const { gateway } = assembleGateway((await gatewayPool()).deps());
  const messages = fc.array(sentMessages(gateway.methods), { minLength: 1, maxLength: 3 });
  const cases = await hold(
    fc.asyncProperty(messages, (all) => exchange(target, all, false)),
    0.1,
  );
  expect(cases).toBeGreaterThan(CASES_MIN);
});

it("whatever comes over HTTP, it is answered", LONG, async () => {
  const cases = await hold(
    fc.asyncProperty(httpRequests, (sent) => ask(target, sent)),
    0.2,
  );
  expect(cases).toBeGreaterThan(CASES_MIN);
});

it("whatever bytes come, and wherever they end, nobody else notices", LONG, async () => {
  const upgrade = Buffer.from(
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  const bytes = fc
    .tuple(fc.nat(upgrade.length), fc.uint8Array({ maxLength: 300 }))
    .map(([cut, more]) => Buffer.concat([upgrade.subarray(0, cut), more]));
  const cases = await hold(
    fc.asyncProperty(fc.array(bytes, { minLength: 1, maxLength: 8 }), async (all) => {
      await Promise.all(all.map((one) => blurt(target, one)));
    }),
    0.1,
  );
  expect(cases).toBeGreaterThan(CASES_MIN);
});

it("the gateway has not grown", () => {
  expect(samples.length).toBeGreaterThan(9);
  expect(growthMb(samples)).toBeLessThan(GROWTH_MAX_MB);
});
