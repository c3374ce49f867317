import { previewOf } from "../../core/excerpt.ts";
import type { AnswerAnswer, AnswerRequest } from "../../ports/run-ledger.ts";
import { checkNewSession } from "./limits.ts";
import { raiseToken, runRecord } from "./runs.ts";
import { addSession, patchSession } from "./sessions.ts";
import type { MemoryStoreState, StoredRun } from "./state.ts";
import { appendMessage } from "./transcript.ts";

/** Records a run that has its answer already. */
export function answerOne(state: MemoryStoreState, request: AnswerRequest): AnswerAnswer {
  const tenant = state.tenants.get(request.tenant);
  if (!tenant || tenant.disabled) return { kind: "refused", reason: "tenant-disabled" };
  const known = tenant.runs.get(request.runId);
  if (known) {
    const same = known.requestHash === request.requestHash && known.sessionKey === request.sessionKey;
    return same ? { kind: "existing", run: runRecord(known) } : { kind: "conflict" };
  }
  const { sessionKey: key, agentId, newSessionId: sessionId, messages } = request;
  checkNewSession(state, tenant, key);
  const session =
    tenant.sessions.get(key) ?? addSession(state, tenant, { key, agentId, sessionId, createdVia: "send" });
  const token = session.lease === null ? raiseToken(state, session) : session.token;
  const title = session.derivedTitle;
  const rows = messages.map((message) => appendMessage(state, session, message, request.runId).row);
  session.derivedTitle = title; // a command is not what a session is about
  const now = state.now();
  const run: StoredRun = {
    tenant: request.tenant,
    runId: request.runId,
    sessionKey: key,
    sessionId: session.sessionId,
    agentId,
    lane: request.lane,
    requestHash: request.requestHash,
    input: {
      body: messages[0]?.body ?? { inline: { role: "user", content: "", timestamp: now } },
      options: {},
    },
    acceptedAt: now,
    status: "succeeded",
    attempt: 1,
    failures: 0,
    losses: 0,
    worker: null,
    startedAt: now,
    endedAt: now,
    abortRequested: false,
    result: request.result,
    error: null,
    queueMode: "followup",
    collected: [],
    steps: new Map(),
    userMessageId: rows[0]?.messageId ?? null,
    finished: null,
  };
  tenant.runs.set(run.runId, run);
  session.updatedAt = now;
  session.lastRunId = run.runId;
  session.lastMessagePreview = previewOf(request.result.text) ?? session.lastMessagePreview;
  if (request.patch) patchSession(state, session, request.patch);
  return { kind: "new", run: runRecord(run), token, rows };
}
