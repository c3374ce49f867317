import type { ImageType } from "./media.ts";

/** What the first bytes of a file say that it is; null for what has no signature, as text. */
export type SniffedType = ImageType | "application/pdf" | "application/zip" | "application/gzip";

const SIGNATURES: readonly (readonly [SniffedType, readonly (number | null)[]])[] = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38, null, 0x61]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50]],
  ["application/pdf", [0x25, 0x50, 0x44, 0x46, 0x2d]],
  ["application/zip", [0x50, 0x4b, 0x03, 0x04]],
  ["application/gzip", [0x1f, 0x8b]],
];

/** The type of a file by its signature. */
export function sniffType(bytes: Uint8Array): SniffedType | null {
  const found = SIGNATURES.find(
    ([, signature]) =>
      bytes.length >= signature.length && signature.every((byte, i) => byte === null || bytes[i] === byte),
  );
  return found?.[0] ?? null;
}

/** The text of a file, or null where it is none: not UTF-8, or with bytes that no text has. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}
