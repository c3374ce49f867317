import { withAttempts } from "./attempts.ts";
import type { Attempts, Call } from "./attempts.ts";
import type { S3Session } from "./client.ts";

/** S3's least size is 5 MiB; 8 MiB times S3's 10,000 parts is the largest object, 78 GiB. */
export const PART_BYTES = 8 * 1024 * 1024;

/** Enough to hide a round trip; memory of one upload is bounded by this many parts and the one being filled. */
const PARTS_IN_FLIGHT = 3;

/** Ending a failed upload is worth a moment, not a whole deadline: the bucket's lifecycle rule is the fallback. */
const ABORT_STALL_MS = 5_000;

interface SentPart {
  readonly PartNumber: number;
  readonly ETag: string | undefined;
  readonly ChecksumCRC32: string | undefined;
}

/**
 * Uploads parts as they come and makes them one object at the end; until then no reader sees anything. When anything
 * fails, the source, the server or the caller's signal, what is in flight is ended and the upload with it, so no
 * parts are left; only a server that is gone keeps them (a lifecycle rule for incomplete uploads removes those).
 *
 * lib-storage's Upload is not used: it goes on reading and sending after a part has failed, and its abort answers
 * before the requests in flight have ended.
 * @param parts ends with an error when the object must not come to be
 * @param stop aborts with the failure, so that the source is not waited for
 */
export async function putInParts(
  session: S3Session,
  attempts: Attempts,
  object: { readonly Bucket: string; readonly Key: string; readonly checksums: boolean },
  parts: AsyncIterator<Uint8Array>,
  stop: AbortController,
  call: Call,
): Promise<void> {
  const { sdk, client } = session;
  const { Bucket, Key, checksums } = object;
  const signal = call.signal === undefined ? stop.signal : AbortSignal.any([call.signal, stop.signal]);
  const create = new sdk.CreateMultipartUploadCommand({
    Bucket,
    Key,
    ...(checksums ? { ChecksumAlgorithm: "CRC32" } : {}),
  });
  const { UploadId } = await withAttempts(attempts, { ...call, signal }, (abortSignal) =>
    client.send(create, { abortSignal }),
  );
  try {
    const sent = await sendParts(session, attempts, { Bucket, Key, UploadId }, parts, stop, {
      ...call,
      signal,
    });
    const complete = new sdk.CompleteMultipartUploadCommand({
      Bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts: sent.sort((a, b) => a.PartNumber - b.PartNumber) },
    });
    await withAttempts(attempts, { ...call, signal }, (abortSignal) =>
      client.send(complete, { abortSignal }),
    );
  } catch (error) {
    const stallMs = Math.min(ABORT_STALL_MS, attempts.deadlines.stallMs);
    const ending = { ...attempts, deadlines: { ...attempts.deadlines, stallMs, callMs: 0 } };
    const abort = new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId });
    await withAttempts(ending, { what: call.what }, (abortSignal) =>
      client.send(abort, { abortSignal }),
    ).catch(() => {});
    throw error;
  }
}

async function sendParts(
  { sdk, client }: S3Session,
  attempts: Attempts,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
  parts: AsyncIterator<Uint8Array>,
  stop: AbortController,
  call: Call,
): Promise<SentPart[]> {
  const sent: SentPart[] = [];
  const inFlight = new Set<Promise<void>>();

  async function send(PartNumber: number, part: Uint8Array): Promise<void> {
    const command = new sdk.UploadPartCommand({ ...upload, PartNumber, Body: part });
    const answer = await withAttempts(attempts, { ...call, bytes: part.length }, (abortSignal) =>
      client.send(command, { abortSignal }),
    );
    sent.push({ PartNumber, ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32 });
  }

  try {
    for (let number = 1; ; number++) {
      const { done, value } = await parts.next();
      if (done === true) break;
      const sending = send(number, value);
      inFlight.add(sending);
      // A failure must end the wait for the source at once; it is thrown from `parts.next()` or below.
      sending.then(
        () => inFlight.delete(sending),
        (error: unknown) => stop.abort(error),
      );
      if (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
    return sent;
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(inFlight); // a part that arrives after the abort would stay on the server
    throw error;
  }
}

/** Cuts chunks of any size into parts; every part is a copy of its own. Nothing for an empty source. */
export async function* inParts(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let part = new Uint8Array(64 * 1024);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const take = Math.min(chunk.length - at, PART_BYTES - filled);
      if (filled + take > part.length) part = grown(part, filled, filled + take);
      part.set(chunk.subarray(at, at + take), filled);
      filled += take;
      at += take;
      if (filled === PART_BYTES) {
        yield part;
        part = new Uint8Array(PART_BYTES);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}

/** Doubles, so that a small stream costs little and a large one few copies. */
function grown(part: Uint8Array<ArrayBuffer>, filled: number, needed: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(PART_BYTES, Math.max(needed, part.length * 2)));
  larger.set(part.subarray(0, filled));
  return larger;
}
