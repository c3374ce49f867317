import { z } from "zod";
import type { CronJob } from "../../core/cron.ts";
import { HAError } from "../../core/errors.ts";
import { agentOfJob } from "../../cron/occurrence.ts";
import {
  compactCronJob,
  cronJobView,
  cronRunEntry,
  deliveryPreview,
  snapshotRevision,
} from "../projection/cron-job.ts";
import { count } from "../protocol/params.ts";
import { type Call, method, type Method } from "./registry.ts";

const LIST_MAX = 200;
/** Runs that are looked through for a page of `cron.runs`. */
const RUNS_READ = 1_000;

/** Ids of jobs: ours are UUIDs, and clients may name others. */
export const jobIdParam = z
  .string()
  .trim()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9._-]+$/, "letters, digits, dot, dash and underscore only");
export const byId = z.object({ id: jobIdParam.optional(), jobId: jobIdParam.optional() });

const listParams = z.object({
  includeDisabled: z.boolean().optional(),
  enabled: z.enum(["all", "enabled", "disabled"]).optional(),
  agentId: z.string().optional(),
  scheduleKind: z.enum(["all", "at", "every", "cron", "on-exit", "stream"]).optional(),
  lastRunStatus: z.enum(["all", "ok", "error", "skipped", "unknown"]).optional(),
  query: z.string().max(512).optional(),
  sortBy: z.enum(["nextRunAtMs", "updatedAtMs", "name"]).optional(),
  sortDir: z.enum(["asc", "desc"]).optional(),
  limit: z.int().min(1).optional(),
  offset: count.optional(),
  compact: z.boolean().optional(),
  includeDeliveryPreviews: z.boolean().optional(),
});

const runsParams = byId.extend({
  scope: z.enum(["job", "all"]).optional(),
  runId: z.string().optional(),
  status: z.enum(["all", "ok", "error", "skipped"]).optional(),
  statuses: z.array(z.enum(["ok", "error", "skipped"])).optional(),
  query: z.string().max(512).optional(),
  sortDir: z.enum(["asc", "desc"]).optional(),
  limit: z.int().min(1).optional(),
  offset: count.optional(),
});

/** Lists and looks; nothing here changes a job. */
export const cronReadMethods: readonly Method[] = [
  method({ name: "cron.list", scope: "operator.read", params: listParams, handle: list }),
  method({
    name: "cron.status",
    scope: "operator.read",
    params: z.object({}),
    async handle({ gateway, tenant }) {
      const jobs = await gateway.cron.list(tenant);
      const next = jobs.flatMap(({ nextRunAt }) => nextRunAt ?? []);
      return {
        enabled: gateway.catalog.cronEnabled,
        triggersEnabled: false,
        storePath: "PostgreSQL",
        storage: "postgres",
        jobs: jobs.length,
        nextWakeAtMs: gateway.catalog.cronEnabled && next.length > 0 ? Math.min(...next) : null,
      };
    },
  }),
  method({
    name: "cron.get",
    scope: "operator.read",
    params: byId,
    handle: async (call, params) => cronJobView(await jobOf(call, params)),
  }),
  method({ name: "cron.runs", scope: "operator.read", params: runsParams, handle: runs }),
];

async function list(call: Call, params: z.infer<typeof listParams>): Promise<unknown> {
  const { gateway, tenant } = call;
  const { catalog } = gateway;
  const wanted = params.enabled ?? (params.includeDisabled === true ? "all" : "enabled");
  const agent = params.agentId?.trim().toLowerCase();
  const query = params.query?.trim().toLowerCase();
  const kind = params.scheduleKind ?? "all";
  const status = params.lastRunStatus ?? "all";
  const jobs = await gateway.cron.list(tenant);
  const matching = jobs
    .filter(({ enabled }) => wanted === "all" || enabled === (wanted === "enabled"))
    .filter((job) => !agent || agentOfJob(catalog, job) === agent)
    .filter(({ definition }) => kind === "all" || definition.schedule.kind === kind)
    .filter(({ last }) => status === "all" || (last?.status ?? "unknown") === status)
    .filter((job) => !query || searchText(job).includes(query))
    .sort(order(params.sortBy ?? "nextRunAtMs", params.sortDir === "desc" ? -1 : 1));
  const offset = Math.min(params.offset ?? 0, matching.length);
  const limit = Math.min(params.limit ?? Math.max(matching.length, 50), LIST_MAX);
  const page = matching.slice(offset, offset + limit);
  const next = offset + page.length;
  const view = params.compact === true ? compactCronJob : cronJobView;
  return {
    jobs: page.map((job) => ({ ...view(job), effectiveAgentId: agentOfJob(catalog, job) })),
    snapshotRevision: snapshotRevision(matching),
    total: matching.length,
    offset,
    limit,
    hasMore: next < matching.length,
    nextOffset: next < matching.length ? next : null,
    ...(params.compact === true || params.includeDeliveryPreviews === false
      ? {}
      : {
          deliveryPreviews: Object.fromEntries(
            page.map(({ jobId, definition }) => [jobId, deliveryPreview(definition)]),
          ),
        }),
  };
}

const searchText = ({ jobId, definition }: CronJob): string =>
  [jobId, definition.name, definition.displayName, definition.description, definition.agentId]
    .join(" ")
    .toLowerCase();

const order =
  (by: "nextRunAtMs" | "updatedAtMs" | "name", direction: 1 | -1) =>
  (a: CronJob, b: CronJob): number => {
    if (by === "name") return direction * a.definition.name.localeCompare(b.definition.name);
    if (by === "updatedAtMs") return direction * (a.updatedAt - b.updatedAt);
    // Those without a next time come last, in either direction.
    if (a.nextRunAt === null || b.nextRunAt === null)
      return Number(a.nextRunAt === null) - Number(b.nextRunAt === null);
    return direction * (a.nextRunAt - b.nextRunAt);
  };

async function runs(call: Call, params: z.infer<typeof runsParams>): Promise<unknown> {
  const { gateway, tenant } = call;
  const jobId = params.scope === "all" ? null : (params.id ?? params.jobId ?? null);
  if (params.scope === "job" && jobId === null)
    throw new HAError("REQUEST_INVALID", "invalid cron.runs params: missing id");
  const [jobs, found] = await Promise.all([
    gateway.cron.list(tenant),
    gateway.cron.runs(tenant, jobId, RUNS_READ),
  ]);
  const definitions = new Map(jobs.map((job) => [job.jobId, job.definition]));
  if (jobId !== null && !definitions.has(jobId) && found.length === 0) throw notFound(jobId);
  const statuses =
    params.statuses ?? (params.status === undefined || params.status === "all" ? null : [params.status]);
  const query = params.query?.trim().toLowerCase() ?? "";
  const entries = found
    .map((run) => cronRunEntry(run, definitions.get(run.jobId) ?? null))
    .filter((entry) => entry !== null)
    .filter((entry) => params.runId === undefined || entry["runId"] === params.runId)
    .filter((entry) => statuses === null || statuses.includes(entry["status"] as "ok"))
    .filter(({ summary, error, jobName }) =>
      [summary, error, jobName].join(" ").toLowerCase().includes(query),
    );
  if (params.sortDir === "asc") entries.reverse();
  const limit = Math.min(params.limit ?? 50, LIST_MAX);
  const offset = Math.min(params.offset ?? 0, entries.length);
  const page = entries.slice(offset, offset + limit);
  const next = offset + page.length;
  return {
    entries: page,
    total: entries.length,
    offset,
    limit,
    hasMore: next < entries.length,
    nextOffset: next < entries.length ? next : null,
  };
}

/** @throws HAError NOT_FOUND; REQUEST_INVALID where no job is named */
export async function jobOf(call: Call, params: z.infer<typeof byId>): Promise<CronJob> {
  const jobId = params.id ?? params.jobId;
  if (jobId === undefined) throw new HAError("REQUEST_INVALID", "invalid cron params: missing id");
  const job = await call.gateway.cron.get(call.tenant, jobId);
  if (job === null) throw notFound(jobId);
  return job;
}

export const notFound = (jobId: string): HAError =>
  new HAError(
    "NOT_FOUND",
    `cron job not found: ${jobId}. List automations and retry with a current job id.`,
    {
      code: "CRON_JOB_NOT_FOUND",
      jobId,
    },
  );
