import { previewOf } from "../../core/excerpt.ts";
import type { RunRecord } from "../../core/run.ts";
import type { AnswerAnswer, AnswerRequest } from "../../ports/run-ledger.ts";
import { appendedRows, messageItems, type RunJson } from "./rows.ts";

/** What answer_run() takes and answers (migrate/sql/000009_runs.sql). */
export interface AnswerRow {
  readonly kind: "new" | "existing" | "conflict" | "tenant-disabled";
  readonly run: RunJson | null;
  readonly token: number;
  readonly first_seq: number;
  readonly parent_id: string | null;
  readonly created_at: number;
}

export const answerItem = (request: AnswerRequest): unknown => ({
  t: request.tenant,
  k: request.runId,
  s: request.sessionKey,
  a: request.agentId,
  l: request.lane,
  h: request.requestHash,
  sid: request.newSessionId,
  res: request.result,
  msgs: messageItems(request.messages),
  prev: previewOf(request.result.text),
  ...(request.patch === undefined ? {} : { patch: request.patch }),
});

export function answeredRun(request: AnswerRequest, row: AnswerRow | undefined): AnswerAnswer {
  if (row === undefined || row.kind === "tenant-disabled")
    return { kind: "refused", reason: "tenant-disabled" };
  if (row.kind === "conflict") return { kind: "conflict" };
  const run = row.run as RunRecord;
  if (row.kind === "existing") return { kind: "existing", run };
  const rows = appendedRows(request.messages, request.runId, row.first_seq, row.parent_id, row.created_at);
  return { kind: "new", run, token: row.token, rows };
}
