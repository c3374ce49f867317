import { HAError } from "../../../core/errors.ts";
import type { Attachment } from "../../accept-run.ts";
import { readAttachments } from "../../attachments.ts";

/** A file or image as a request carries it. */
export interface Media {
  readonly mimeType: string;
  readonly base64: string;
  readonly fileName?: string;
}

const MAX_PARTS = 8;
const MAX_BYTES_EACH = 10 * 1024 * 1024;
const MAX_BYTES = 20 * 1024 * 1024;
const IMAGES = ["image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "image/heif"];

const invalid = (message: string): HAError => new HAError("REQUEST_INVALID", message);

/** A `data:` URI taken apart. @throws HAError REQUEST_INVALID for any other address: nothing is fetched for a client */
export function dataUri(url: string, where: string): Media {
  const match = /^data:([^,]*?),/i.exec(url.slice(0, 512));
  if (!match) throw invalid(`${where}: addresses are not fetched; send the content as a data: URI`);
  const parts = (match[1] ?? "").split(";").map((part) => part.trim().toLowerCase());
  const mimeType = parts.find((part) => part.includes("/"));
  const base64 = url.slice(match[0].length);
  if (!parts.includes("base64") || mimeType === undefined || base64 === "") {
    throw invalid(`${where}: expected data:<type>;base64,<content>`);
  }
  return { mimeType, base64 };
}

/** As attachments of a message. @throws HAError REQUEST_INVALID for too many, too large or of other kinds */
export function attachmentsOf(media: readonly Media[], where: string): Attachment[] {
  if (media.length > MAX_PARTS)
    throw invalid(`${where}: ${media.length} images or files, at most ${MAX_PARTS}`);
  let total = 0;
  for (const { mimeType, base64 } of media) {
    const bytes = Math.floor((base64.length * 3) / 4);
    total += bytes;
    if (bytes > MAX_BYTES_EACH || total > MAX_BYTES) {
      throw new HAError("REQUEST_INVALID", `${where}: too large, at most 10 MiB each and 20 MiB in all`, {
        httpStatus: 413,
      });
    }
    if (mimeType.startsWith("image/") && !IMAGES.includes(mimeType)) {
      throw invalid(`${where}: type ${JSON.stringify(mimeType)} is not one of ${IMAGES.join(", ")}`);
    }
  }
  return readAttachments(
    media.map(({ mimeType, base64, fileName }) => ({
      mimeType,
      content: base64,
      ...(fileName === undefined ? {} : { fileName }),
    })),
  );
}
