import { isHAError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import { FILE_MAX_CHARACTERS, isTextType, type MediaFact, mediaOf, sha256OfMedia } from "../core/media.ts";
import { objectKey } from "../core/object-key.ts";
import { textOf } from "../core/sniff-type.ts";
import type { ContentBlock, TranscriptMessage } from "../core/transcript.ts";
import type { ObjectStore } from "../ports/object-store.ts";

/** Bytes of attachments that one model call is given; older ones are named only. */
const CALL_MAX_BYTES = 20 * 1024 * 1024;
/** Images of one call: providers take no more. */
const CALL_MAX_IMAGES = 20;

/** Gives messages to a model with what they refer to. */
export interface MediaLoader {
  /**
   * The messages, their attachments in place: images as images where the model takes them, text files as text, anything
   * else by its name. The newest come first where not all fit.
   * @throws HAError STORE_UNAVAILABLE when object storage does not answer
   */
  load(
    tenant: TenantId,
    messages: readonly TranscriptMessage[],
    takesImages: boolean,
    signal: AbortSignal,
  ): Promise<readonly TranscriptMessage[]>;
}

/** @param maxBytes memory for attachments that were read last, over all sessions of this worker */
export function mediaLoader(objects: Pick<ObjectStore, "get">, maxBytes: number): MediaLoader {
  // In order of use: the first key is the longest unused.
  const held = new Map<string, Buffer>();
  let total = 0;

  const read = async (tenant: TenantId, sha256: string, signal: AbortSignal): Promise<Buffer | null> => {
    const key = objectKey(tenant, sha256);
    const known = held.get(key);
    if (known !== undefined) {
      held.delete(key);
      held.set(key, known);
      return known;
    }
    const found = await objects.get(key, signal).catch((error: unknown) => {
      if (isHAError(error, "NOT_FOUND")) return null;
      throw error;
    });
    if (found === null) return null;
    const bytes = Buffer.from(found.buffer, found.byteOffset, found.byteLength);
    if (bytes.length > maxBytes / 2) return bytes;
    held.set(key, bytes);
    total += bytes.length;
    for (const [oldest, { length }] of held) {
      if (total <= maxBytes) break;
      held.delete(oldest);
      total -= length;
    }
    return bytes;
  };

  return {
    async load(tenant, messages, takesImages, signal) {
      if (!messages.some((message) => mediaOf(message).length > 0)) return messages;
      let left = CALL_MAX_BYTES;
      let images = CALL_MAX_IMAGES;
      const loaded = [...messages];
      for (let i = messages.length - 1; i >= 0; i--) {
        const message = messages[i] as TranscriptMessage;
        const media = mediaOf(message);
        if (media.length === 0) continue;
        const blocks: ContentBlock[] = [];
        for (const fact of media) {
          const isImage = fact.kind === "image";
          const fits = fact.sizeBytes <= left && (!isImage || images > 0);
          const wanted = isImage ? takesImages : isTextType(fact.contentType);
          const sha256 = fits && wanted ? sha256OfMedia(fact.url) : null;
          const bytes = sha256 === null ? null : await read(tenant, sha256, signal);
          if (bytes !== null) left -= bytes.length;
          if (bytes !== null && isImage) images--;
          blocks.push(blockOf(fact, bytes, wanted));
        }
        loaded[i] = { ...message, content: [...contentOf(message), ...blocks] };
      }
      return loaded;
    },
  };
}

const contentOf = ({ content }: TranscriptMessage): readonly ContentBlock[] =>
  typeof content !== "string" ? content : content === "" ? [] : [{ type: "text", text: content }];

/** A fact without bytes is named, so that the model knows that there was something and does not make it up. */
function blockOf(fact: MediaFact, bytes: Buffer | null, wanted: boolean): ContentBlock {
  const name = fact.fileName ?? fact.url;
  if (bytes !== null && fact.kind === "image") {
    return { type: "image", data: bytes.toString("base64"), mimeType: fact.contentType };
  }
  const text = bytes === null ? null : textOf(bytes);
  if (text !== null) {
    const cut = text.length > FILE_MAX_CHARACTERS ? "\n[the rest of the file is left out]" : "";
    const attributes = `name=${JSON.stringify(name)} mime="${fact.contentType}"`;
    return {
      type: "text",
      text: `<file ${attributes}>\n${text.slice(0, FILE_MAX_CHARACTERS)}${cut}\n</file>`,
    };
  }
  const why = wanted ? "its content is not at hand any more" : "this model cannot read it";
  return { type: "text", text: `[attached: ${name} (${fact.contentType}, ${fact.sizeBytes} bytes); ${why}]` };
}
