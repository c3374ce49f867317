import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { HAError } from "../../core/errors.ts";
import { checkObjectKey } from "../../core/object-key.ts";
import type { Clock } from "../../ports/clock.ts";
import { checkedChunks, collectBytes, eachWithin } from "../../ports/object-bytes.ts";
import type { ObjectBody, ObjectInfo, ObjectStore } from "../../ports/object-store.ts";
import type { Random } from "../../ports/random.ts";
import { withAttempts } from "./attempts.ts";
import type { Attempts, Call, S3Deadlines } from "./attempts.ts";
import { openSession } from "./client.ts";
import type { S3Connection, S3Session } from "./client.ts";
import { isMissing, isUnexplained404, storeUnavailable } from "./failures.ts";
import { inParts, PART_BYTES, putInParts } from "./multipart.ts";

export interface S3ObjectStoreOptions extends S3Connection {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines?: Partial<S3Deadlines>;
}

const DEADLINES: S3Deadlines = { connectMs: 2_000, stallMs: 15_000, callMs: 30_000 };

interface OpenedObject {
  readonly stream: Readable;
  readonly bytes: number;
}

/** Readiness asks often and must not wait long. */
const CHECK_MAX_MS = 5_000;
const CHECK_KEY = ".openclaw-ha/check";

/** S3's own limit for one DeleteObjects. */
const DELETE_MAX = 1_000;

/**
 * Objects in a bucket of any server that speaks S3. Bytes are guarded by checksums both ways, and by the caller's
 * SHA-256 where the server takes it. Bodies are sent as whole buffers of at most 8 MiB, never as one long stream, so
 * every request can be repeated and no server meets the chunked signing that old ones store as data.
 *
 * The bucket should have a lifecycle rule that aborts incomplete multipart uploads after a day.
 */
export function s3ObjectStore(options: S3ObjectStoreOptions): ObjectStore {
  const { bucket: Bucket, checksums = true } = options;
  const deadlines = { ...DEADLINES, ...options.deadlines };
  const place = { bucket: Bucket, endpoint: options.endpoint ?? `AWS ${options.region}` };
  const attempts: Attempts = { clock: options.clock, random: options.random, deadlines, place };
  let pending: Promise<S3Session> | undefined;
  const session = (): Promise<S3Session> => (pending ??= openSession(options, deadlines.connectMs));

  /** One PUT. `sha256` is what the server compares the bytes with. */
  async function putWhole(
    bytes: Uint8Array,
    Key: string,
    sha256: string | undefined,
    call: Call,
  ): Promise<void> {
    const { sdk, client } = await session();
    const ChecksumSHA256 =
      checksums && sha256 !== undefined ? Buffer.from(sha256, "hex").toString("base64") : undefined;
    const command = new sdk.PutObjectCommand({
      Bucket,
      Key,
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256,
    });
    await withAttempts(attempts, { ...call, bytes: bytes.length }, (abortSignal) =>
      client.send(command, { abortSignal }),
    );
  }

  async function putStream(
    key: string,
    body: ObjectBody,
    sha256: string | undefined,
    call: Call,
  ): Promise<number> {
    const stop = new AbortController();
    const signal = call.signal === undefined ? stop.signal : AbortSignal.any([call.signal, stop.signal]);
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of checkedChunks(key, body, { sha256, signal, stallMs: deadlines.stallMs })) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    const parts = inParts(counted());
    try {
      const first = await parts.next();
      // A part is yielded when it is full or when the source has ended well, so a short one is all there is.
      if (first.done === true || first.value.length < PART_BYTES) {
        await putWhole(first.done === true ? new Uint8Array() : first.value, key, sha256, call);
      } else {
        const all = prepended(first.value, parts);
        await putInParts(await session(), attempts, { Bucket, Key: key, checksums }, all, stop, call);
      }
      return bytes;
    } finally {
      parts.return().catch(() => {}); // lets the source go; not awaited, because it may hang
    }
  }

  /** An object's body as Node's stream, or null. */
  async function open(Key: string, abortSignal: AbortSignal): Promise<OpenedObject | null> {
    const { sdk, client } = await session();
    try {
      const answer = await client.send(new sdk.GetObjectCommand({ Bucket, Key }), { abortSignal });
      return { stream: answer.Body as Readable, bytes: answer.ContentLength ?? 0 };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async function deleteSome(keys: readonly string[]): Promise<void> {
    const { sdk, client } = await session();
    const what = `delete ${keys.length} objects`;
    if (!checksums) {
      for (const Key of keys) {
        const command = new sdk.DeleteObjectCommand({ Bucket, Key });
        await withAttempts(attempts, { what }, (abortSignal) => client.send(command, { abortSignal }));
      }
      return;
    }
    const Delete = { Quiet: true, Objects: keys.map((Key) => ({ Key })) };
    const command = new sdk.DeleteObjectsCommand({ Bucket, Delete });
    const { Errors = [] } = await withAttempts(attempts, { what }, (abortSignal) =>
      client.send(command, { abortSignal }),
    );
    const failed = Errors.find(({ Code }) => Code !== "NoSuchKey");
    if (failed === undefined) return;
    throw storeUnavailable({ name: failed.Code ?? "Error", message: failed.Message ?? "" }, what, place);
  }

  return {
    async put(key, body, { sha256, signal } = {}) {
      checkObjectKey(key);
      const call = { what: `write object ${key}`, signal };
      if (body instanceof Uint8Array) refuseOtherHash(key, body, sha256);
      if (!(body instanceof Uint8Array) || body.length > PART_BYTES) {
        return { key, bytes: await putStream(key, body, sha256, call) };
      }
      await putWhole(body, key, sha256, call);
      return { key, bytes: body.length };
    },
    async get(key, signal) {
      checkObjectKey(key);
      return withAttempts(attempts, { what: `read object ${key}`, signal }, async (attemptSignal, alive) => {
        const opened = await open(key, attemptSignal);
        if (opened === null) return null;
        const { stream } = opened;
        const end = (): void => void stream.destroy();
        attemptSignal.addEventListener("abort", end, { once: true });
        try {
          return await collectBytes(noticed(stream, alive));
        } finally {
          attemptSignal.removeEventListener("abort", end);
        }
      });
    },
    async getStream(key, signal) {
      checkObjectKey(key);
      const what = `read object ${key}`;
      const call = { what, signal };
      const opened = await withAttempts(attempts, call, (attemptSignal) => open(key, attemptSignal));
      if (opened === null) return null;
      const { stream } = opened;
      return eachWithin(stream, {
        withinMs: deadlines.stallMs,
        late: () => storeUnavailable(new Error(`no bytes for ${deadlines.stallMs} ms`), what, place),
        failed: (error) => storeUnavailable(error, what, place),
        signal,
        dispose: () => {
          stream.on("error", () => {}); // it is cut on purpose; nobody listens any more
          stream.destroy();
        },
      });
    },
    async head(key) {
      checkObjectKey(key);
      const { sdk, client } = await session();
      const command = new sdk.HeadObjectCommand({ Bucket, Key: key });
      return withAttempts(attempts, { what: `look up object ${key}` }, async (abortSignal) => {
        try {
          const { ContentLength = 0 } = await client.send(command, { abortSignal });
          return { key, bytes: ContentLength };
        } catch (error) {
          if (!isUnexplained404(error)) throw error;
        }
        const opened = await open(key, abortSignal); // asks in a way that is answered with the reason
        opened?.stream.destroy();
        return opened === null ? null : { key, bytes: opened.bytes };
      });
    },
    async delete(keys) {
      keys.forEach(checkObjectKey);
      for (let at = 0; at < keys.length; at += DELETE_MAX) await deleteSome(keys.slice(at, at + DELETE_MAX));
    },
    async *list(prefix): AsyncGenerator<ObjectInfo, void, undefined> {
      const { sdk, client } = await session();
      let ContinuationToken: string | undefined;
      do {
        const command = new sdk.ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken });
        const page = await withAttempts(attempts, { what: `list objects below "${prefix}"` }, (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        for (const { Key = "", Size = 0 } of page.Contents ?? []) yield { key: Key, bytes: Size };
        ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },
    async check() {
      const { sdk, client } = await session();
      const command = new sdk.PutObjectCommand({ Bucket, Key: CHECK_KEY, Body: new Uint8Array(1) });
      const stallMs = Math.min(CHECK_MAX_MS, deadlines.stallMs);
      const quick = { ...attempts, deadlines: { ...deadlines, stallMs, callMs: stallMs } };
      await withAttempts(quick, { what: "write" }, (abortSignal) => client.send(command, { abortSignal }));
    },
    async close() {
      const last = pending;
      pending = undefined;
      (await last)?.client.destroy();
    },
  };
}

function refuseOtherHash(key: string, bytes: Uint8Array, expected: string | undefined): void {
  if (expected === undefined) return;
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual === expected) return;
  const message = `object ${key} has another hash than the one that was announced`;
  throw new HAError("REQUEST_INVALID", message, { key, expected, actual });
}

async function* prepended(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield first;
  for (;;) {
    const { done, value } = await rest.next();
    if (done === true) return;
    yield value;
  }
}

async function* noticed(
  chunks: AsyncIterable<Uint8Array>,
  alive: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    alive();
    yield chunk;
  }
}
