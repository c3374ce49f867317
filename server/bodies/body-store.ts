import { createHash } from "node:crypto";
import { asHAError, HAError, isHAError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import { objectKey } from "../core/object-key.ts";
import {
  exceedsInline,
  type ObjectRef,
  type StoredBody,
  type TranscriptMessage,
  type TranscriptRow,
} from "../core/transcript.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { ObjectStore } from "../ports/object-store.ts";

/** How long a step may wait for object storage before its body stays in the row. */
const PUT_PATIENCE_MS = 3_000;
/** After a failed put, how long bodies stay inline without asking again: a dead store costs one wait, not one each. */
const PUT_PAUSE_MS = 5_000;

export interface BodyStoreDeps {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Reads what rows refer to. */
export interface BodyReader {
  /**
   * @throws HAError STORE_UNAVAILABLE when object storage did not answer
   * @throws HAError NOT_FOUND when the object is gone, INTERNAL when it is not a message
   */
  load(tenant: TenantId, body: StoredBody, signal?: AbortSignal): Promise<TranscriptMessage>;
  /** The rows of a sealed part of a transcript, in order; errors as `load`. */
  loadSegment(tenant: TenantId, object: ObjectRef, signal?: AbortSignal): Promise<TranscriptRow[]>;
}

/** Puts messages where they belong by size, and gets them back. */
export interface BodyStore extends BodyReader {
  /**
   * Small messages stay in the row; those above INLINE_BODY_MAX_BYTES go to object storage first, content-addressed,
   * so that a row never refers to bytes that are not there. Where object storage does not take it in time the body
   * stays inline and moves later (control/move-bodies.ts): a commit never fails on account of object storage.
   */
  store(tenant: TenantId, message: TranscriptMessage): Promise<StoredBody>;
}

export function bodyReader(objects: Pick<ObjectStore, "get">): BodyReader {
  const read = async (tenant: TenantId, object: ObjectRef, signal?: AbortSignal): Promise<string> => {
    const bytes = await objects.get(objectKey(tenant, object.sha256), signal);
    if (bytes !== null) return new TextDecoder().decode(bytes);
    throw new HAError("NOT_FOUND", `object ${object.sha256} of tenant ${tenant} is missing`, {
      tenant,
      sha256: object.sha256,
    });
  };
  const parse = (text: string, { sha256 }: ObjectRef, tenant: TenantId): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new HAError(
        "INTERNAL",
        `object ${sha256} does not hold what its row says`,
        { tenant },
        { cause: error },
      );
    }
  };
  return {
    async load(tenant, body, signal) {
      if ("inline" in body) return body.inline;
      return parse(await read(tenant, body.object, signal), body.object, tenant) as TranscriptMessage;
    },
    async loadSegment(tenant, object, signal) {
      const lines = (await read(tenant, object, signal)).split("\n");
      return lines.filter((line) => line !== "").map((line) => parse(line, object, tenant) as TranscriptRow);
    },
  };
}

export function bodyStore({ objects, clock, logger }: BodyStoreDeps): BodyStore {
  let pausedUntil = Number.NEGATIVE_INFINITY;

  const put = async (tenant: TenantId, bytes: Uint8Array): Promise<ObjectRef | null> => {
    if (clock.monotonic() < pausedUntil) return null;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const patience = new AbortController();
    const settled = new AbortController();
    void clock.sleep(PUT_PATIENCE_MS, settled.signal).then(() => patience.abort());
    try {
      // The race is for adapters that heed the signal late.
      await Promise.race([
        objects.put(objectKey(tenant, sha256), bytes, { sha256, signal: patience.signal }),
        aborted(patience.signal),
      ]);
      return { sha256, bytes: bytes.byteLength };
    } catch (error) {
      pausedUntil = clock.monotonic() + PUT_PAUSE_MS;
      logger.warn("body.kept_inline", {
        tenant,
        bytes: bytes.byteLength,
        code: asHAError(error).code,
      });
      return null;
    } finally {
      settled.abort();
    }
  };

  return {
    ...bodyReader(objects),
    async store(tenant, message) {
      const json = JSON.stringify(message);
      if (!exceedsInline(json)) return { inline: message };
      const object = await put(tenant, new TextEncoder().encode(json));
      return object === null ? { inline: message } : { object };
    },
  };
}

/** True for a body or segment that no retry will bring back. */
export const isLostForGood = (error: unknown): boolean =>
  isHAError(error, "NOT_FOUND") || isHAError(error, "INTERNAL");

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener(
      "abort",
      () => reject(new HAError("STORE_UNAVAILABLE", "object storage did not answer in time")),
      { once: true },
    );
  });
}
