import { hash } from "node:crypto";
import { z } from "zod";
import { HAError } from "../core/errors.ts";
import { hasControlCharacter } from "../core/ids.ts";
import { IMAGE_TYPES, isTextType, type MediaFact, mediaUrl } from "../core/media.ts";
import { sniffType, textOf } from "../core/sniff-type.ts";
import type { Attachment } from "./accept-run.ts";

const MAX_ATTACHMENTS = 32;
/** As `hello-ok.policy.attachments` says, and as OpenClaw's own. */
export const ATTACHMENT_MAX_BYTES = 19_464_192;
export const IMAGE_MAX_BYTES = 6 * 1_024 * 1_024;
const NAME_MAX_LENGTH = 255;

/** `attachments` of chat.send and agent. The content is base64, with or without `data:` in front, or an Anthropic `source`. */
export const attachmentsParam = z.array(
  z.object({
    type: z.string().optional(),
    mimeType: z.string().optional(),
    fileName: z.string().optional(),
    sizeBytes: z.number().optional(),
    content: z.unknown().optional(),
    source: z.object({ media_type: z.string().optional(), data: z.unknown().optional() }).optional(),
  }),
);

type Sent = z.infer<typeof attachmentsParam>[number];

const refused = (message: string, more: Readonly<Record<string, unknown>> = {}): HAError =>
  new HAError("REQUEST_INVALID", message, { reason: "attachment", ...more });

/**
 * Reads attachments. What they are is told by their bytes: a client's word is taken where bytes have no signature.
 * @throws HAError REQUEST_INVALID for bad base64, nothing, too much, too many, another type or size than was said, and
 *   names that are paths
 */
export function readAttachments(sent: readonly Sent[] | undefined): Attachment[] {
  if (sent === undefined) return [];
  if (sent.length > MAX_ATTACHMENTS) {
    throw refused(`${sent.length} attachments: at most ${MAX_ATTACHMENTS} in one message`);
  }
  return sent.map((attachment, index) => {
    const name = attachment.fileName;
    const label = `attachment ${index + 1}`;
    if (name !== undefined && !isPlainName(name)) {
      throw refused(`${label}: fileName must be a name without path, of 1 to ${NAME_MAX_LENGTH} characters`);
    }
    const { bytes, declared } = decoded(attachment, label);
    const contentType = typeOf(bytes, declared, label);
    const isImage = contentType.startsWith("image/");
    const limit = isImage ? IMAGE_MAX_BYTES : ATTACHMENT_MAX_BYTES;
    if (bytes.length > limit) {
      const what = isImage ? "an image" : "a file";
      throw refused(`${label}: ${bytes.length} bytes, ${what} has at most ${limit}`, { httpStatus: 413 });
    }
    const sha256 = hash("sha256", bytes, "hex");
    const media: MediaFact = {
      url: mediaUrl(sha256, extensionOf(contentType, name)),
      contentType,
      kind: kindOf(contentType),
      ...(name === undefined ? {} : { fileName: name }),
      sizeBytes: bytes.length,
    };
    return { sha256, bytes, media };
  });
}

function decoded(sent: Sent, label: string): { bytes: Buffer; declared: string } {
  const content = sent.content ?? sent.source?.data;
  if (typeof content !== "string") throw refused(`${label}: content must be base64 text`);
  const dataUrl = /^data:([^;,]+)(?:;[^,]*)?;base64,/.exec(content.slice(0, 200));
  const base64 = dataUrl ? content.slice(dataUrl[0].length) : content;
  if (base64.trim() === "") throw refused(`${label}: it is empty`);
  const bytes = Buffer.from(base64, "base64");
  // The decoder leaves out what is no base64: whatever it gives back must be what was sent.
  if (bytes.toString("base64").replace(/=+$/, "") !== base64.trim().replace(/=+$/, "")) {
    throw refused(`${label}: content is not valid base64`);
  }
  if (sent.sizeBytes !== undefined && sent.sizeBytes !== bytes.length) {
    throw refused(`${label}: sizeBytes says ${sent.sizeBytes}, its content has ${bytes.length} bytes`);
  }
  const declared = sent.mimeType ?? sent.source?.media_type ?? dataUrl?.[1] ?? sent.type ?? "";
  return { bytes, declared: (declared.toLowerCase().split(";", 1)[0] ?? "").trim() };
}

/** The type by the bytes; by the client's word where they have no signature and do not speak against it. */
function typeOf(bytes: Buffer, declared: string, label: string): string {
  const said =
    /^[a-z]+\/[a-z0-9.+-]+$/.test(declared) && declared !== "application/octet-stream" ? declared : "";
  const sniffed = sniffType(bytes);
  const lie = (): HAError =>
    refused(`${label}: it is said to be ${said}, but its content is ${sniffed ?? "something else"}`);
  if (sniffed !== null) {
    // Browsers go by the file's name, and a picture may have that of another format; documents are zip files.
    const bothImages = said.startsWith("image/") && sniffed.startsWith("image/");
    const isContainer = sniffed === "application/zip" || sniffed === "application/gzip";
    if (said === "" || said === sniffed || bothImages) return sniffed;
    if (isContainer && !said.startsWith("image/") && !isTextType(said)) return said;
    throw lie();
  }
  if ((IMAGE_TYPES as readonly string[]).includes(said)) throw lie();
  const isText = textOf(bytes) !== null;
  if (isTextType(said) && !isText) throw lie();
  if (said !== "") return said;
  return isText ? "text/plain" : "application/octet-stream";
}

function isPlainName(name: string): boolean {
  const isPath = /[/\\]/.test(name) || name === "." || name === "..";
  return name !== "" && name.length <= NAME_MAX_LENGTH && !isPath && !hasControlCharacter(name);
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/gif": "gif",
  "image/webp": "webp",
  "application/pdf": "pdf",
  "application/json": "json",
  "text/plain": "txt",
  "text/csv": "csv",
  "text/markdown": "md",
};

function extensionOf(contentType: string, name: string | undefined): string {
  const known = EXTENSIONS[contentType];
  if (known !== undefined) return known;
  return /\.([A-Za-z0-9]{1,8})$/.exec(name ?? "")?.[1]?.toLowerCase() ?? "bin";
}

function kindOf(contentType: string): MediaFact["kind"] {
  const [family] = contentType.split("/");
  return family === "image" || family === "audio" || family === "video" ? family : "document";
}
