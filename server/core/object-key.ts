import { HAError } from "./errors.ts";
import { hasControlCharacter } from "./ids.ts";
import type { TenantId } from "./ids.ts";

/** Key of a content-addressed object. The tenant is the first part, so that a policy can be bound to the prefix. */
export const objectKey = (tenant: TenantId, sha256: string): string =>
  `tenants/${tenant}/sha256/${sha256.slice(0, 2)}/${sha256}`;

/** Longest object key in UTF-8 bytes (S3's limit). */
const KEY_MAX_BYTES = 1_024;

/**
 * Refuses keys that some store cannot hold or that could climb out of a folder: every adapter takes the same ones.
 * @throws HAError REQUEST_INVALID
 */
export function checkObjectKey(key: string): void {
  const segments = key.split("/");
  const bad =
    Buffer.byteLength(key) > KEY_MAX_BYTES ||
    hasControlCharacter(key) ||
    !key.isWellFormed() ||
    segments.some((segment) => segment === "" || segment === "." || segment === "..");
  if (bad) {
    throw new HAError("REQUEST_INVALID", `invalid object key: ${JSON.stringify(key.slice(0, 80))}`, {
      what: "object key",
    });
  }
}
