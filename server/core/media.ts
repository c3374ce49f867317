import type { TranscriptMessage } from "./transcript.ts";

/** Types that models take as images. */
export const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

/** An attachment of a user's message, as OpenClaw keeps it under `__openclaw.media`; its bytes are an object. */
export interface MediaFact {
  /** `media://inbound/<sha256>.<extension>`. */
  readonly url: string;
  readonly contentType: string;
  readonly kind: "image" | "document" | "audio" | "video";
  readonly fileName?: string;
  readonly sizeBytes: number;
}

export const mediaUrl = (sha256: string, extension: string): string =>
  `media://inbound/${sha256}${extension === "" ? "" : `.${extension}`}`;

/** The object that a media URL of ours names; null for any other text. */
export function sha256OfMedia(url: string): string | null {
  return /^media:\/\/inbound\/([0-9a-f]{64})(?:\.[a-z0-9]{1,8})?$/.exec(url)?.[1] ?? null;
}

/** Characters of a text file that a model is given. */
export const FILE_MAX_CHARACTERS = 100_000;

/** The attachments of a message. */
export function mediaOf(message: TranscriptMessage): readonly MediaFact[] {
  const own = message["__openclaw"] as { readonly media?: unknown } | undefined;
  return message.role === "user" && Array.isArray(own?.media) ? (own.media as MediaFact[]) : [];
}

/** What `__openclaw` of a user's row says of its attachments, as OpenClaw writes it. */
export function mediaFields(media: readonly MediaFact[]): Readonly<Record<string, unknown>> {
  const slots = media.flatMap(({ kind }, factIndex) =>
    kind === "image" ? [{ kind: "inline", factIndex }] : [],
  );
  return { media, ...(slots.length === 0 ? {} : { mediaImageLayout: { slots } }) };
}

/** True for files that a model is given as text. */
export const isTextType = (contentType: string): boolean =>
  /^text\/|^application\/(?:json|javascript|xml|yaml|x-yaml)$|\+(?:json|xml)$/.test(contentType);
