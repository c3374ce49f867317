import { hash } from "node:crypto";
import { z } from "zod";
import { HAError } from "../core/errors.ts";
import type { Attachment } from "./accept-run.ts";

/** `attachments` of chat.send and agent. */
export const attachmentsParam = z
  .array(
    z.object({
      type: z.string().optional(),
      mimeType: z.string().optional(),
      fileName: z.string().optional(),
      content: z.unknown().optional(),
    }),
  )
  .max(32);

type Sent = z.infer<typeof attachmentsParam>[number];

const invalid = (index: number, why: string): HAError =>
  new HAError("REQUEST_INVALID", `attachment ${index + 1}: ${why}`, { reason: "attachment" });

/**
 * Reads attachments: images go to the model as images, text files as text under their name.
 * @throws HAError REQUEST_INVALID for anything else
 */
export function readAttachments(sent: readonly Sent[] | undefined): Attachment[] {
  return (sent ?? []).map((attachment, index) => {
    const { content, fileName } = attachment;
    if (typeof content !== "string" || content === "") throw invalid(index, "content must be base64 text");
    const dataUrl = /^data:([^;,]+);base64,/.exec(content.slice(0, 200));
    const mimeType = (attachment.mimeType ?? dataUrl?.[1] ?? attachment.type ?? "").toLowerCase();
    const base64 = dataUrl ? content.slice(dataUrl[0].length) : content;
    const bytes = Buffer.from(base64, "base64");
    if (bytes.length === 0) throw invalid(index, "content must be base64 text");
    const sha256 = hash("sha256", bytes, "hex");
    if (mimeType.startsWith("image/")) return { sha256, block: { type: "image", data: base64, mimeType } };
    if (mimeType.startsWith("text/") || mimeType === "application/json") {
      const name = fileName ?? "attachment";
      return { sha256, block: { type: "text", text: `[file ${name}]\n${bytes.toString("utf8")}` } };
    }
    throw invalid(index, `type ${JSON.stringify(mimeType || "unknown")} is not supported`);
  });
}
