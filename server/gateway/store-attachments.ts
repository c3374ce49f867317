import type { TenantId } from "../core/ids.ts";
import { objectKey } from "../core/object-key.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { Attachment } from "./accept-run.ts";

/**
 * Puts attachments into object storage before the row that refers to them is written, each under its own hash: the same
 * picture sent twice is one object. Killed in between, what lies there is known as an artifact that no row refers to.
 * @throws HAError STORE_UNAVAILABLE: nothing was acknowledged, and the client may send the same again
 */
export async function storeAttachments(
  {
    objects,
    sessions,
  }: { readonly objects: Pick<ObjectStore, "put">; readonly sessions: Pick<SessionStore, "noteObjects"> },
  tenant: TenantId,
  attachments: readonly Attachment[],
): Promise<void> {
  if (attachments.length === 0) return;
  for (const { sha256, bytes } of attachments) {
    await objects.put(objectKey(tenant, sha256), bytes, { sha256 });
  }
  const refs = attachments.map(({ sha256, bytes }) => ({ sha256, bytes: bytes.length }));
  await sessions.noteObjects(tenant, "attachment", refs);
}
