import { createHash, randomBytes } from "node:crypto";
import { createServer as createHttpServer } from "node:http";
import type { RequestListener } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { collectBytes } from "../../ports/object-bytes.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { objectStoreContract } from "../../ports/contract/object-store.contract.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { startTestS3 } from "../../testing/services.ts";
import type { TestS3 } from "../../testing/services.ts";
import { until } from "../../testing/until.ts";
import { systemClock } from "../system/clock.ts";
import { s3ObjectStore } from "./object-store.ts";
import type { S3ObjectStoreOptions } from "./object-store.ts";

const MEGABYTE = 1024 * 1024;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

let server: TestS3;
beforeAll(async () => {
  server = await startTestS3();
});
afterAll(() => server.stop());

function openStore(to: TestS3, options: Partial<S3ObjectStoreOptions> = {}): ObjectStore {
  const store = s3ObjectStore({
    endpoint: to.url,
    bucket: to.bucket,
    region: to.region,
    credentials: { accessKeyId: to.accessKeyId, secretAccessKey: to.secretAccessKey },
    clock: systemClock,
    random: seededRandom(1),
    ...options,
  });
  return store;
}

function rawClient(to: TestS3): S3Client {
  const { accessKeyId, secretAccessKey } = to;
  return new S3Client({
    endpoint: to.url,
    region: to.region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}

async function emptyBucket(to: TestS3): Promise<TestS3> {
  const bucket = `test-${randomBytes(6).toString("hex")}`;
  const client = rawClient(to);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return { ...to, bucket };
}

async function unfinishedUploads(to: TestS3): Promise<number> {
  const client = rawClient(to);
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: to.bucket }));
  client.destroy();
  return Uploads.length;
}

for (const checksums of [true, false]) {
  objectStoreContract(checksums ? "s3" : "s3 without the SDK's checksums", async ({ stallMs }) => {
    const store = openStore(await emptyBucket(server), {
      checksums,
      deadlines: { stallMs: Math.max(stallMs, 400) },
    });
    return { store, close: () => store.close() };
  });
}

describe("an upload in parts", () => {
  it("leaves no parts behind when the source fails, has another hash, or is aborted", async () => {
    const to = await emptyBucket(server);
    const store = openStore(to);
    onTestFinished(() => store.close());
    const bytes = randomBytes(20 * MEGABYTE);
    async function* breaking(): AsyncGenerator<Uint8Array, void, undefined> {
      yield bytes;
      throw new Error("the source broke");
    }
    await expect(store.put("a", breaking())).rejects.toThrow("the source broke");
    await expect(store.put("a", once(bytes), { sha256: "0".repeat(64) })).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
    const controller = new AbortController();
    async function* aborting(): AsyncGenerator<Uint8Array, void, undefined> {
      yield bytes;
      controller.abort(new Error("cancelled"));
      yield bytes;
    }
    await expect(store.put("a", aborting(), { signal: controller.signal })).rejects.toThrow("cancelled");
    expect(await unfinishedUploads(to)).toBe(0);
    expect(await store.head("a")).toBeNull();
  });

  it("ends when the server is killed in the middle, lets the source go, and works again once it is back", async () => {
    const own = await startTestS3({ own: true });
    onTestFinished(() => own.stop());
    const store = openStore(own);
    onTestFinished(() => store.close());
    const bytes = randomBytes(12 * MEGABYTE);
    let released = false;
    async function* killing(): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield bytes;
        await own.kill();
        for (;;) yield bytes;
      } finally {
        released = true;
      }
    }
    await expect(store.put("big", killing())).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    // The source is in the middle of its own work while the server dies, and is let go once that is done.
    await until(() => released, { what: "the release of the source" });
    await expect(store.get("big")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await own.start();
    expect(await store.get("big")).toBeNull();
    await store.put("big", once(bytes), { sha256: sha256(bytes) });
    expect(sha256((await store.get("big"))!)).toBe(sha256(bytes));
  });
});

describe("a server that misbehaves", () => {
  const impatient = { connectMs: 200, stallMs: 200, callMs: 300 };

  it("that accepts and never answers ends every call in time", async () => {
    const hole = await listening(createServer());
    const store = openStore({ ...server, url: hole }, { deadlines: impatient });
    onTestFinished(() => store.close());
    const calls = [
      store.put("a", randomBytes(10)),
      store.put("a", once(randomBytes(9 * MEGABYTE))),
      store.get("a"),
      store.getStream("a"),
      store.head("a"),
      store.delete(["a"]),
      store.check(),
      collectKeys(store),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "STORE_UNAVAILABLE" } });
    }
  });

  it("that is not there, or refuses, is said to be unavailable by name", async () => {
    const port = await unusedPort();
    const store = openStore({ ...server, url: `http://127.0.0.1:${port}` });
    onTestFinished(() => store.close());
    await expect(store.get("a")).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: expect.stringContaining("ECONNREFUSED"),
      details: { bucket: server.bucket },
    });
  });

  it("that stops in the middle of a body fails the read, though it had answered", async () => {
    const url = await listening(
      createHttpServer((_request, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("half");
      }),
    );
    const store = openStore({ ...server, url }, { deadlines: impatient });
    onTestFinished(() => store.close());
    await expect(store.get("a")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    const stream = (await store.getStream("a"))!;
    await expect(collectBytes(stream)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("that cuts the connection in the middle of a body is asked again", async () => {
    let requests = 0;
    const url = await listening(
      createHttpServer((_request, response) => {
        requests++;
        response.writeHead(200, { "content-length": "8" });
        if (requests === 1) response.write("half", () => response.destroy());
        else response.end("complete");
      }),
    );
    const store = openStore({ ...server, url });
    onTestFinished(() => store.close());
    expect(Buffer.from((await store.get("a"))!).toString()).toBe("complete");
    expect(requests).toBe(2);
  });

  it("that is slow but goes on is waited for, far beyond the deadline of a stall", async () => {
    const url = await listening(
      createHttpServer((_request, response) => {
        response.writeHead(200, { "content-length": "10" });
        let sent = 0;
        const timer = setInterval(() => {
          response.write("x");
          if (++sent === 10) clearInterval(timer);
        }, 60);
      }),
    );
    const store = openStore({ ...server, url }, { deadlines: impatient });
    onTestFinished(() => store.close());
    expect((await store.get("a"))!.length).toBe(10);
    expect((await collectBytes((await store.getStream("a"))!)).length).toBe(10);
  });

  it("that is busy is asked again, and a bounded number of times", async () => {
    let requests = 0;
    const busyTwice: RequestListener = (_request, response) => {
      requests++;
      response.statusCode = requests <= 2 ? 503 : 200;
      response.end(requests <= 2 ? "<Error><Code>SlowDown</Code></Error>" : "ok");
    };
    const store = openStore({ ...server, url: await listening(createHttpServer(busyTwice)) });
    onTestFinished(() => store.close());
    expect(Buffer.from((await store.get("a"))!).toString()).toBe("ok");
    requests = -10;
    await expect(store.get("a")).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      details: { reason: "SlowDown" },
    });
    expect(requests).toBe(-7);
  });
});

describe("wrong settings", () => {
  it("a wrong secret or key id is named, without the secret", async () => {
    const secret = "a-secret-that-must-not-appear";
    for (const accessKeyId of [server.accessKeyId, "unknown-key-id"]) {
      const store = openStore(server, { credentials: { accessKeyId, secretAccessKey: secret } });
      onTestFinished(() => store.close());
      await expect(store.get("a")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      await expect(store.head("a")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      const error: unknown = await store.put("a", randomBytes(1)).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: "STORE_UNAVAILABLE",
        message: expect.stringContaining("check AWS_ACCESS_KEY_ID"),
      });
      const shown = JSON.stringify(error, allProperties) + String((error as Error).stack);
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain("AWS4-HMAC");
    }
  });

  it("a bucket that does not exist is named", async () => {
    const store = openStore(server, { bucket: "no-such-bucket" });
    onTestFinished(() => store.close());
    const calls = [
      () => store.put("a", randomBytes(1)),
      () => store.get("a"),
      () => store.head("a"),
      () => store.check(),
      () => collectKeys(store),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: "STORE_UNAVAILABLE",
        message: expect.stringContaining("no-such-bucket"),
      });
    }
  });
});

/** Also what JSON leaves out of errors. */
function allProperties(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return Object.fromEntries(
    Object.getOwnPropertyNames(value).map((name) => [name, Reflect.get(value, name) as unknown]),
  );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function collectKeys(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("")) keys.push(key);
  return keys;
}

/** URL of the server, which ends with the test, its open connections too. */
async function listening(listener: Server): Promise<string> {
  const sockets = new Set<Socket>();
  listener.on("connection", (socket: Socket) => {
    sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  });
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

async function unusedPort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  await new Promise((resolve) => listener.close(resolve));
  return port;
}
