import { createHash } from "node:crypto";
import { objectKey } from "../core/object-key.ts";
import type { Logger } from "../ports/logger.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { SessionStore } from "../ports/session-store.ts";

const BODIES_PER_PAGE = 50;
/** Of one pass. A page may be shorter than it could be, where bodies are very large. */
const MAX_PAGES = 50;

export interface MoveBodiesDeps {
  readonly sessions: Pick<SessionStore, "largeBodies" | "moveBody">;
  readonly objects: Pick<ObjectStore, "put">;
  readonly logger: Logger;
}

/**
 * Moves bodies that stayed in their rows while object storage was away to the objects where they belong, until none is
 * left or the pass is long enough. The object comes first and the row that refers to it second: killed in between, the
 * next pass writes the same bytes under the same key.
 * @returns bodies moved
 * @throws HAError STORE_UNAVAILABLE when Postgres or object storage is away; the next pass goes on from there
 */
export async function moveLargeBodies({ sessions, objects, logger }: MoveBodiesDeps): Promise<number> {
  let moved = 0;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await sessions.largeBodies(BODIES_PER_PAGE);
    if (page.length === 0) break;
    for (const { tenant, sessionKey, seq, message } of page) {
      const bytes = new TextEncoder().encode(JSON.stringify(message));
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      await objects.put(objectKey(tenant, sha256), bytes, { sha256 });
      await sessions.moveBody(tenant, sessionKey, seq, { sha256, bytes: bytes.byteLength });
      moved++;
    }
  }
  if (moved > 0) logger.info("archiver.bodies_moved", { bodies: moved });
  return moved;
}
