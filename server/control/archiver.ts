import { createHash } from "node:crypto";
import { objectKey } from "../core/object-key.ts";
import { HOT_TAIL_ROWS } from "../core/transcript.ts";
import type { Logger } from "../ports/logger.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { SealCandidate, SessionStore } from "../ports/session-store.ts";

const SESSIONS_PER_PAGE = 20;
/** Of one pass. A page may be shorter than it could be, where bodies are large. */
const MAX_PAGES = 50;

export interface ArchiverDeps {
  readonly sessions: Pick<SessionStore, "sealCandidates" | "seal">;
  readonly objects: Pick<ObjectStore, "put">;
  readonly logger: Logger;
  readonly tailRows?: number;
}

/**
 * Moves the old part of long transcripts to object storage, until none is left or the pass is long enough. The object
 * comes first and the row that refers to it second: killed in between, the next pass writes the same bytes under the
 * same key. Commits never wait for it.
 * @returns segments moved
 * @throws HAError STORE_UNAVAILABLE when Postgres or object storage is away; the next pass goes on from there
 */
export async function archive(deps: ArchiverDeps): Promise<number> {
  const { sessions, logger, tailRows = HOT_TAIL_ROWS } = deps;
  let moved = 0;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const candidates = await sessions.sealCandidates(tailRows, SESSIONS_PER_PAGE);
    if (candidates.length === 0) break;
    for (const candidate of candidates) if (await seal(deps, candidate)) moved++;
  }
  if (moved > 0) logger.debug("archiver.sealed", { segments: moved });
  return moved;
}

async function seal({ sessions, objects }: ArchiverDeps, candidate: SealCandidate): Promise<boolean> {
  const { tenant, sessionKey, rows } = candidate;
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return false;
  // One JSON line a row, as OpenClaw's own transcripts are; whole rows, so that history needs nothing else.
  const bytes = new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  await objects.put(objectKey(tenant, sha256), bytes, { sha256 });
  await sessions.seal(tenant, sessionKey, {
    firstSeq: first.seq,
    lastSeq: last.seq,
    object: { sha256, bytes: bytes.byteLength },
  });
  return true;
}
