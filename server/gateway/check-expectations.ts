import { HAError } from "../core/errors.ts";
import { runId as asRunId, type SessionKey } from "../core/ids.ts";
import type { SessionRecord } from "../core/session.ts";
import type { Call } from "./methods/registry.ts";

/** What a client believes of a session when it sends into it; what it does not name is not compared. */
export interface Expectations {
  readonly sessionId?: string | undefined;
  /** The newest row that the client shows; null: none. With `sessionId` an older row of the same history will do. */
  readonly expectedLeafEntryId?: string | null | undefined;
  readonly queueMode?: string | undefined;
}

/**
 * Compares before a message is accepted, as OpenClaw does: what comes between the comparison and the acceptance is not
 * seen. A message that was accepted before is never refused here: what it was sent to has moved on because of it.
 * @throws HAError REQUEST_INVALID where the session is another one, archived, or has moved on
 */
export async function checkExpectations(
  call: Call,
  key: SessionKey,
  idempotencyKey: string,
  expected: Expectations,
): Promise<void> {
  const { sessionId, expectedLeafEntryId } = expected;
  if (sessionId === undefined && expectedLeafEntryId === undefined) return;
  const { gateway, tenant } = call;
  const session = await gateway.sessions.get(tenant, key);
  const broken = brokenSession(key, session, sessionId) ?? (await brokenLeaf(call, key, session, expected));
  if (broken === null) return;
  if ((await gateway.ledger.get(tenant, asRunId(idempotencyKey))) === null) throw broken;
}

const invalid = (message: string, details = {}): HAError => new HAError("REQUEST_INVALID", message, details);

function brokenSession(
  key: SessionKey,
  session: SessionRecord | null,
  sessionId: string | undefined,
): HAError | null {
  if (sessionId !== undefined && session === null) {
    return invalid(`Session "${key}" was deleted while starting work. Retry.`);
  }
  if (sessionId !== undefined && session?.sessionId !== sessionId) {
    return invalid(`Session "${key}" changed while starting work. Retry.`);
  }
  if (!session?.archived) return null;
  return invalid(`Session "${key}" is archived. Restore it before starting new work.`);
}

async function brokenLeaf(
  { gateway, tenant }: Call,
  key: SessionKey,
  session: SessionRecord | null,
  { sessionId, expectedLeafEntryId: leaf, queueMode }: Expectations,
): Promise<HAError | null> {
  // A message that steers belongs to the run under way, however far that has come.
  if (leaf === undefined || queueMode === "steer" || (session?.headMessageId ?? null) === leaf) return null;
  if (leaf !== null && session !== null && sessionId !== undefined) {
    const seq = await gateway.sessions.seqOf(tenant, key, leaf);
    if (seq !== null && seq > session.resetSeq) return null;
  }
  return invalid("active branch changed; review and retry", { reason: "active-leaf-changed" });
}
