import type { PlantedBug } from "./planted-bug.ts";

const CRON = "server/control/cron.ts";
const CRON_SQL = "migrate/sql/000013_cron.sql";

/** Bugs of what nobody waits for: cron jobs and the ends of subagents. */
export const BACKGROUND_BUGS: readonly PlantedBug[] = [
  {
    name: "cron-stops-with-its-leader",
    what: "the term of whoever fires cron jobs is ten minutes, also when it is dead",
    promise: "no-lost-ack",
    trial: "cron-leader-killed",
    edits: [
      {
        file: CRON,
        find: "CRON_TERM_MS = 2_000",
        replace: "CRON_TERM_MS = 600_000",
      },
    ],
  },
  {
    name: "cron-fired-again",
    what: "only the leader remembers what it has fired, and the next one fires what has not ended once more",
    promise: "idempotent",
    trial: "cron-leader-killed",
    edits: [
      {
        file: "server/cron/occurrence.ts",
        find: "    ...occurrenceOf(deps, job, cronRunId(job.jobId, scheduledAt), now),",
        replace:
          "    ...occurrenceOf(deps, job, `${cronRunId(job.jobId, scheduledAt)}:${deps.random.uuid()}` as RunId, now),",
      },
      {
        file: CRON,
        find: "    const plan = planDue(due, at);",
        replace:
          "    const plan = planDue(due.filter(({ jobId }) => !fired.has(jobId)), at);\n" +
          "    for (const { jobId } of plan.fire) fired.add(jobId);\n" +
          "    if (plan.fire.length === 0) return;",
      },
      {
        file: CRON,
        find: "/** Jobs of each kind in one step. */",
        replace: "const fired = new Set<string>();\n/** Jobs of each kind in one step. */",
      },
      {
        file: CRON,
        find: "    const again = await settle(work);\n    await fire(work);",
        replace: "    await fire(work);\n    const again = await settle(work);",
      },
      {
        file: CRON_SQL,
        find: "      WHERE j.next_run_at <= v_now AND j.running_run_id IS NULL ORDER BY",
        replace: "      WHERE j.next_run_at <= v_now ORDER BY",
      },
      {
        file: CRON_SQL,
        find: "    WHERE j.revision = (b.item ->> 'rev')::bigint AND j.running_run_id IS NULL",
        replace: "    WHERE j.revision = (b.item ->> 'rev')::bigint",
      },
      {
        file: CRON_SQL,
        find: "    next_run_at = CASE WHEN f.at IS NULL THEN j.next_run_at ELSE ms_time(f.next) END",
        replace: "    next_run_at = j.next_run_at",
      },
    ],
  },
  {
    name: "announcement-lost",
    what: "only the worker of a subagent knows that its end is still to be announced, and takes its time",
    promise: "no-lost-ack",
    trial: "subagents",
    edits: [
      {
        file: "server/control/main.ts",
        find: "      await children.announce();\n",
        replace: "",
      },
      {
        file: "server/subagents/tell-parents.ts",
        find: "    parents.announce({ tenant, runId }).catch((error: unknown) => {",
        replace:
          "    const later = () => new Promise((resolve) => setTimeout(resolve, 800));\n" +
          "    later().then(() => parents.announce({ tenant, runId })).catch((error: unknown) => {",
      },
    ],
  },
  {
    name: "announcement-doubled",
    what: "each announcement has an id of its own, and who comes second is not stopped",
    promise: "idempotent",
    trial: "subagents",
    edits: [
      {
        file: "server/subagents/announcer.ts",
        find: "  const runId = announcementId(child);",
        replace: "  const runId = `${announcementId(child)}:${random.uuid()}` as RunId;",
      },
      {
        file: "migrate/sql/000014_subagents.sql",
        find: "    WHERE c.announced_at IS NULL\n    ORDER BY c.tenant_id, c.run_id FOR UPDATE OF c",
        replace: "    ORDER BY c.tenant_id, c.run_id FOR UPDATE OF c",
      },
      {
        file: "server/subagents/tell-parents.ts",
        find: "    parents.announce({ tenant, runId }).catch(",
        replace:
          "    parents.announce({ tenant, runId }).catch(() => undefined);\n" +
          "    parents.announce({ tenant, runId }).catch(",
      },
    ],
  },
];
