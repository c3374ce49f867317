import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { embeddedAgentRuntime } from "../adapters/embedded-agent/agent-runtime.ts";
import { memoryEventBus } from "../adapters/memory/event-bus.ts";
import { memoryRateLimiter } from "../adapters/memory/rate-limiter.ts";
import { memoryRunQueue } from "../adapters/memory/run-queue.ts";
import { s3ObjectStore } from "../adapters/s3/object-store.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { systemRandom } from "../adapters/system/random.ts";
import { tenantId } from "../core/ids.ts";
import { objectKey } from "../core/object-key.ts";
import { type DemoModelHandle, startDemoModel } from "../demo-model/main.ts";
import type { StoreFixture } from "../ports/contract/store-fixture.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { demoCatalog } from "../testing/demo-catalog.ts";
import { openPostgresStores } from "../testing/postgres-stores.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { startTestS3, type TestDatabase, testPostgres, type TestS3 } from "../testing/services.ts";
import { connectSocket, type SocketClient } from "../testing/socket-client.ts";
import { until } from "../testing/until.ts";
import { inProcessKeeper, ledgerHeartbeatLink } from "../worker/keep-lease.ts";
import { startWorker } from "../worker/main.ts";
import { startGateway } from "./main.ts";

const TENANT = tenantId("pictures");
const TOKEN = "token-of-pictures";
const PNG = Buffer.concat([Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"), Buffer.alloc(40_000, 7)]);
const NOTES = Buffer.from(`apples, pears and ${"plums, ".repeat(6_000)}and nothing else`);
const base64 = (bytes: Buffer): string => bytes.toString("base64");
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

let database: TestDatabase;
let s3: TestS3;
let stores: StoreFixture;
let model: DemoModelHandle;
let objects: ObjectStore;
let urls: readonly string[];
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  [s3, stores] = await Promise.all([startTestS3({ own: true }), openPostgresStores(database)]);
  await stores.directory.addTenant(TENANT, "shared");
  await stores.directory.addToken(TENANT, TOKEN, ["operator.admin"], "test");
  const common = { clock: systemClock, random: systemRandom, logger: recordingLogger() };
  model = await startDemoModel({ port: 0, logger: common.logger });
  const demo = demoCatalog(model.url);
  const catalog = {
    ...demo,
    models: demo.models.map((one) => ({ ...one, input: ["text", "image"] as const })),
  };
  const { accessKeyId, secretAccessKey, region, bucket } = s3;
  objects = s3ObjectStore({
    ...common,
    endpoint: s3.url,
    bucket,
    region,
    credentials: { accessKeyId, secretAccessKey },
  });
  const deps = {
    ...common,
    ...stores,
    objects,
    catalog,
    queue: memoryRunQueue({ ...common, laneWidths: catalog.laneWidths }),
    bus: memoryEventBus(common),
    rateLimiter: memoryRateLimiter(common),
  };
  const configView = { path: "openclaw.json", exists: false, document: {}, hash: "" };
  const gateways = await Promise.all(
    ["gateway-1", "gateway-2"].map((instance) =>
      startGateway({
        ...deps,
        configView,
        settings: { instance, version: "0.0.0-test", host: "127.0.0.1", port: 0 },
      }),
    ),
  );
  undo.push(...gateways.map((gateway) => () => gateway.close()));
  urls = gateways.map(({ url }) => url);
  const worker = await startWorker({
    ...deps,
    runtime: embeddedAgentRuntime(common),
    vault: { credential: () => Promise.resolve(null) },
    keepLease: inProcessKeeper({ ...common, link: () => ledgerHeartbeatLink(stores.ledger) }),
    instance: "worker-1",
    pools: ["shared"],
    slots: 4,
  });
  undo.push(() => worker.close());
  await worker.registered();
});

afterAll(async () => {
  for (const step of undo) await step();
  await model?.close();
  await stores?.close();
  await s3?.stop();
  await database?.drop();
});

async function client(gateway: 0 | 1): Promise<SocketClient> {
  const connected = await connectSocket(urls[gateway]!, { token: TOKEN });
  onTestFinished(() => connected.close());
  return connected;
}

const sending = (sessionKey: string, key: string, attachments: readonly object[]) => ({
  sessionKey,
  message: "what is this?",
  idempotencyKey: key,
  attachments,
});

interface Row {
  readonly role: string;
  readonly content: unknown;
  readonly __openclaw: { readonly media?: readonly { readonly url: string }[] };
}

const historyOf = async (from: SocketClient, sessionKey: string): Promise<readonly Row[]> =>
  (await from.ok("chat.history", { sessionKey }))["messages"] as Row[];

const refusalOf = async (by: SocketClient, params: object) => {
  const response = await by.request("chat.send", params);
  expect(response.ok).toBe(false);
  return response.error as { code: string; message: string; retryable?: boolean };
};

describe("attachments in S3", () => {
  it("are objects of their own, seen by the model, and read in the history and over HTTP at another gateway", async () => {
    const [one, two] = [await client(0), await client(1)];
    const attachments = [
      { mimeType: "image/png", fileName: "red.png", content: base64(PNG) },
      { mimeType: "text/plain", fileName: "notes.txt", content: base64(NOTES) },
    ];
    await one.ok("chat.send", sending("both", "k-both", attachments));
    await one.end("k-both");
    const [asked, answered] = await historyOf(two, "both");
    expect(asked?.["__openclaw"].media).toMatchObject([
      {
        url: `media://inbound/${sha256(PNG)}.png`,
        contentType: "image/png",
        kind: "image",
        fileName: "red.png",
      },
      { url: `media://inbound/${sha256(NOTES)}.txt`, contentType: "text/plain", sizeBytes: NOTES.length },
    ]);
    expect(JSON.stringify(asked)).not.toContain(base64(PNG).slice(0, 100));
    const answer = JSON.stringify(answered?.content);
    expect(answer).toContain("[image image/png]");
    expect(answer).toContain("apples, pears and plums");
    expect(answer).toContain("and nothing else");
    expect(Buffer.from((await objects.get(objectKey(TENANT, sha256(PNG))))!)).toEqual(PNG);
    for (const [n, bytes] of [PNG, NOTES].entries()) {
      const { url } = asked!["__openclaw"].media![n]!;
      const address = `${urls[1]!.replace("ws:", "http:")}/__openclaw__/assistant-media`;
      const got = await fetch(`${address}?${new URLSearchParams({ source: url }).toString()}`, {
        headers: { Authorization: `Bearer ${TOKEN}` },
      });
      expect(Buffer.from(await got.arrayBuffer())).toEqual(bytes);
    }
  });

  it.each<[string, object, RegExp]>([
    ["text called a picture", { mimeType: "image/png", content: base64(NOTES) }, /said to be image\/png/],
    ["a picture called text", { mimeType: "text/plain", content: base64(PNG) }, /its content is image\/png/],
    [
      "a size that is none",
      { mimeType: "image/png", sizeBytes: 5, content: base64(PNG) },
      /sizeBytes says 5/,
    ],
    ["base64 that is none", { mimeType: "image/png", content: "%%%%" }, /not valid base64/],
    ["a path", { mimeType: "image/png", fileName: "../red.png", content: base64(PNG) }, /without path/],
    [
      "a picture above the limit",
      { content: base64(Buffer.concat([PNG, Buffer.alloc(6 * 1_024 * 1_024)])) },
      /an image has at most/,
    ],
  ])("that lie are refused before anything is kept: %s", async (_what, attachment, message) => {
    const one = await client(0);
    const error = await refusalOf(one, sending("lies", "k-lie", [attachment]));
    expect(error).toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringMatching(message) as unknown,
    });
    expect(await historyOf(one, "lies")).toEqual([]);
  });

  it("are refused as retryable while S3 is away, and taken under the same key when it is back", async () => {
    const [one, two] = [await client(0), await client(1)];
    const picture = Buffer.concat([PNG, Buffer.from("another")]);
    const params = sending("away", "k-away", [{ mimeType: "image/png", content: base64(picture) }]);
    await s3.kill();
    const error = await refusalOf(one, params);
    expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(await stores.ledger.list(TENANT, { limit: 1 })).not.toMatchObject([{ runId: "k-away" }]);
    // What needs no object goes on meanwhile.
    await two.ok("chat.send", { sessionKey: "plain", message: "still there?", idempotencyKey: "k-plain" });
    await two.end("k-plain");
    await s3.start();
    await until(async () => (await two.request("chat.send", params)).ok, { timeoutMs: 20_000, pollMs: 200 });
    await two.end("k-away");
    expect(JSON.stringify((await historyOf(one, "away"))[1])).toContain("[image image/png]");
  });

  it("are waited for by a run that finds S3 away, and the run is answered when it is back", async () => {
    const [one, two] = [await client(0), await client(1)];
    const picture = Buffer.concat([PNG, Buffer.from("a third")]);
    const send = (key: string, message: string, more: object = {}) =>
      one.ok("chat.send", { sessionKey: "later", message, idempotencyKey: key, ...more });
    // The picture waits behind a turn that is long enough for S3 to go away.
    await send("k-first", "[[demo chunks=20 delay=100]] wait");
    await send("k-later", "look", {
      queueMode: "followup",
      attachments: [{ mimeType: "image/png", content: base64(picture) }],
    });
    await s3.kill();
    await one.end("k-first");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await stores.ledger.get(TENANT, "k-later" as never)).toMatchObject({
      status: "running",
      endedAt: null,
    });
    await s3.start();
    expect(await one.end("k-later", 30_000)).toMatchObject({ state: "final" });
    expect(JSON.stringify((await historyOf(two, "later"))[3])).toContain("[image image/png]");
  });
});
