import type { RunRecord } from "../../server/core/run.ts";

/** One run as `runs list --json` prints it: names are a contract. Times are ISO 8601. */
export interface RunRow {
  readonly runId: string;
  readonly sessionKey: string;
  readonly status: RunRecord["status"];
  readonly attempt: number;
  readonly worker?: string;
  readonly acceptedAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** The run in whose turn its message was answered: steered into it, or collected with it. */
  readonly mergedInto?: string;
  readonly error?: NonNullable<RunRecord["error"]>;
}

export const runRow = (run: RunRecord): RunRow => ({
  runId: run.runId,
  sessionKey: run.sessionKey,
  status: run.status,
  attempt: run.attempt,
  ...(run.worker === null ? {} : { worker: run.worker }),
  acceptedAt: isoTime(run.acceptedAt),
  ...(run.startedAt === null ? {} : { startedAt: isoTime(run.startedAt) }),
  ...(run.endedAt === null ? {} : { endedAt: isoTime(run.endedAt) }),
  ...(run.result?.mergedInto === undefined ? {} : { mergedInto: run.result.mergedInto }),
  ...(run.error === null ? {} : { error: run.error }),
});

/** All that is known of a run: what `runs show` prints. */
export const runDetails = (run: RunRecord) => ({
  ...runRow(run),
  tenant: run.tenant,
  sessionId: run.sessionId,
  agentId: run.agentId,
  lane: run.lane,
  failures: run.failures,
  abortRequested: run.abortRequested,
  result: run.result,
});

export const isoTime = (epochMs: number): string => new Date(epochMs).toISOString();
