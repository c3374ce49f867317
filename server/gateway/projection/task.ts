import { isEnded } from "../../core/run-state.ts";
import type { RunRecord } from "../../core/run.ts";
import type { SubagentRun } from "../../core/subagent.ts";
import type { CronRun } from "../../ports/cron-store.ts";

/** Statuses of `tasks.list`. */
export const TASK_STATUSES = ["queued", "running", "completed", "failed", "timed_out", "cancelled"] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** Background work as clients list it. */
export interface Task {
  readonly id: string;
  readonly status: TaskStatus;
  readonly sessionKey: string;
  readonly createdAt: number;
  readonly endedAt?: number;
  readonly [field: string]: unknown;
}

const TITLE_MAX = 120;

/** Work that a session has set a subagent to. */
export const subagentTask = ({ child, run }: SubagentRun): Task => ({
  ...common(run),
  kind: "subagent",
  runtime: "subagent",
  title: (child.label ?? child.task).slice(0, TITLE_MAX),
  sessionKey: child.requesterKey,
  childSessionKey: child.sessionKey,
  hasTranscript: true,
  ownerKey: child.requesterKey,
  sourceId: child.runId,
});

/** A run of a cron job. */
export const cronTask = ({ run, jobId }: CronRun, name: string | undefined): Task => ({
  ...common(run),
  kind: "automation_run",
  runtime: "cron",
  title: name ?? jobId,
  sessionKey: "",
  childSessionKey: run.sessionKey,
  hasTranscript: true,
  ownerKey: "",
  sourceId: jobId,
});

function common(run: RunRecord) {
  const { runId, agentId, acceptedAt, startedAt, endedAt, result, error } = run;
  const answer = result?.text.slice(0, TITLE_MAX);
  return {
    id: runId,
    taskId: runId,
    runId,
    agentId,
    status: statusOf(run),
    execution: { state: isEnded(run.status) ? "finished" : "active" },
    createdAt: acceptedAt,
    updatedAt: endedAt ?? startedAt ?? acceptedAt,
    ...(startedAt === null ? {} : { startedAt }),
    ...(endedAt === null ? {} : { endedAt }),
    ...(answer ? { terminalSummary: answer } : {}),
    ...(error === null ? {} : { error: error.message }),
    deliveryStatus: "not_applicable",
  };
}

function statusOf({ status }: RunRecord): TaskStatus {
  switch (status) {
    case "queued":
    case "running":
    case "timed_out":
      return status;
    case "succeeded":
      return "completed";
    case "aborted":
      return "cancelled";
    case "failed":
    case "dead":
      return "failed";
    default:
      return status satisfies never;
  }
}
