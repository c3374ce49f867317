import { z } from "zod";
import type { CronDefinition, CronJob } from "../../core/cron.ts";
import { HAError } from "../../core/errors.ts";
import { changedNotice, startedNotice } from "../../cron/notices.ts";
import { agentOfJob, manualOccurrence } from "../../cron/occurrence.ts";
import { nextRunAfter } from "../../cron/schedule.ts";
import type { CronNotice } from "../../core/run-event.ts";
import {
  checkedSchedule,
  cronDefinition,
  cronPatch,
  cronWish,
  patchedWish,
  refuseMissing,
} from "../cron-definition.ts";
import {
  compactCronJob,
  configRevision,
  cronJobView,
  cronRunEntry,
  deliveryPreview,
  snapshotRevision,
} from "../projection/cron-job.ts";
import { count, readParams } from "../protocol/params.ts";
import { type Call, method, type Method } from "./registry.ts";

const LIST_MAX = 200;
/** Runs that are looked through for a page of `cron.runs`. */
const RUNS_READ = 1_000;
/** How often a change is tried on what another one has changed meanwhile. */
const TRIES = 5;

const id = z
  .string()
  .trim()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9._-]+$/, "letters, digits, dot, dash and underscore only");
const byId = z.object({ id: id.optional(), jobId: id.optional() });

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

/** Cron jobs of the tenant. The control process fires them (server/control/cron.ts); here they are kept. */
export const cronMethods: readonly Method[] = [
  method({ name: "cron.list", scope: "operator.read", params: listParams, handle: list }),
  method({
    name: "cron.status",
    scope: "operator.read",
    params: z.object({}),
    async handle({ gateway, tenant }) {
      const { jobs } = await gateway.cron.list(tenant);
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
  method({
    name: "cron.add",
    scope: "operator.admin",
    params: z.looseObject({ id: id.optional() }),
    async handle(call, params) {
      const { gateway, tenant } = call;
      const { at } = await gateway.cron.list(tenant);
      const wish = readWish(params);
      const zone = localZone();
      const schedule = checkedSchedule(wish.schedule, at, zone);
      const definition = cronDefinition(gateway.catalog, wish, { schedule, zone });
      const enabled = wish.enabled ?? true;
      const jobId = params.id ?? gateway.random.uuid();
      const nextRunAt = enabled ? firstRun(jobId, definition, at) : null;
      const job = await gateway.cron.add(tenant, jobId, { definition, enabled, nextRunAt });
      if (job === "exists")
        throw new HAError("REQUEST_INVALID", `invalid cron.add params: cron job already exists: ${jobId}`);
      if (job === "full") {
        throw new HAError(
          "REQUEST_INVALID",
          "this tenant has as many cron jobs as it may have; remove one that is not needed",
        );
      }
      tell(call, changedNotice("added", job));
      return { ...cronJobView(job), deliveryPreview: deliveryPreview(definition) };
    },
  }),
  method({
    name: "cron.update",
    scope: "operator.admin",
    params: byId.extend({
      patch: z.looseObject({}),
      expectedConfigRevision: z.string().optional(),
    }),
    handle: update,
  }),
  method({
    name: "cron.remove",
    scope: "operator.admin",
    params: byId,
    async handle(call, params) {
      const job = await jobOf(call, params);
      const { removed } = await call.gateway.cron.remove(call.tenant, job.jobId);
      if (!removed) throw notFound(job.jobId);
      tell(call, { type: "cron", action: "removed", jobId: job.jobId });
      return { ok: true, removed };
    },
  }),
  method({
    name: "cron.run",
    scope: "operator.admin",
    accepts: true,
    params: byId.extend({ mode: z.enum(["due", "force"]).optional() }),
    handle: runNow,
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
  const { jobs } = await gateway.cron.list(tenant);
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

/** @throws HAError REQUEST_INVALID with the first few things that are wrong with the wish */
function readWish(wish: Readonly<Record<string, unknown>>): z.infer<typeof cronWish> {
  refuseMissing(wish);
  const read = readParams(cronWish, wish);
  if (!read.ok) throw new HAError("REQUEST_INVALID", `invalid cron params: ${read.why}`);
  return read.value;
}

async function update(
  call: Call,
  params: z.infer<typeof byId> & {
    patch: Record<string, unknown>;
    expectedConfigRevision?: string | undefined;
  },
): Promise<unknown> {
  const { gateway, tenant } = call;
  refuseMissing(params.patch);
  const patch = readParams(cronPatch, params.patch);
  if (!patch.ok) throw new HAError("REQUEST_INVALID", `invalid cron.update params: ${patch.why}`);
  for (let tries = 0; tries < TRIES; tries++) {
    const job = await jobOf(call, params);
    if (
      params.expectedConfigRevision !== undefined &&
      params.expectedConfigRevision !== configRevision(job)
    ) {
      throw new HAError(
        "REQUEST_INVALID",
        "cron job definition no longer matches the loaded version; review the latest version before retrying",
        { code: "CRON_JOB_CHANGED", actualConfigRevision: configRevision(job) },
      );
    }
    const { at } = await gateway.cron.list(tenant);
    const wish = readWish(patchedWish(job.definition, patch.value));
    const { schedule: newSchedule } = patch.value;
    const zone = newSchedule === undefined ? job.definition.zone : localZone();
    // One that stays as it is was checked when it was new: a time that is over is no reason to refuse another change.
    const schedule =
      newSchedule === undefined ? job.definition.schedule : checkedSchedule(newSchedule, at, zone);
    const definition = cronDefinition(gateway.catalog, wish, { schedule, zone });
    const enabled = patch.value.enabled ?? job.enabled;
    const sameTimes = newSchedule === undefined && enabled === job.enabled;
    const nextRunAt = !enabled ? null : sameTimes ? job.nextRunAt : nextRun(job, definition, at);
    const changed = await gateway.cron.replace(tenant, job.jobId, job.revision, {
      definition,
      enabled,
      nextRunAt,
    });
    if (changed === null) continue; // somebody else was faster: once more on what there is now
    tell(call, changedNotice("updated", changed));
    return cronJobView(changed);
  }
  throw new HAError("OVERLOADED", "this cron job is being changed by others; try again in a moment", {
    retryAfterMs: 1_000,
  });
}

async function runNow(
  call: Call,
  params: z.infer<typeof byId> & { mode?: "due" | "force" | undefined },
): Promise<unknown> {
  const { gateway, tenant } = call;
  for (let tries = 0; tries < TRIES; tries++) {
    const job = await jobOf(call, params);
    const { at } = await gateway.cron.list(tenant);
    if (job.running !== null) return { ok: true, ran: false, reason: "already-running" };
    if (params.mode === "due" && (job.nextRunAt === null || job.nextRunAt > at)) {
      return { ok: true, ran: false, reason: "not-due" };
    }
    const [answer] = await gateway.cron.fire(null, [manualOccurrence(gateway, job, at)]);
    if (answer?.kind === "fired") {
      const { run } = answer.answer;
      if (answer.answer.kind === "new" && answer.answer.ready) {
        gateway.queue.enqueue([answer.answer.ready]).catch(() => undefined); // the sweep does the same a little later
      }
      tell(call, startedNotice(job.jobId, run.runId, run.sessionKey, at));
      return { ok: true, enqueued: true, runId: run.runId };
    }
    if (answer?.kind === "refused") {
      throw new HAError("OVERLOADED", `the run was not accepted: ${answer.reason}`, { retryAfterMs: 1_000 });
    }
  }
  return { ok: true, ran: false, reason: "already-running" };
}

async function runs(call: Call, params: z.infer<typeof runsParams>): Promise<unknown> {
  const { gateway, tenant } = call;
  const jobId = params.scope === "all" ? null : (params.id ?? params.jobId ?? null);
  if (params.scope === "job" && jobId === null)
    throw new HAError("REQUEST_INVALID", "invalid cron.runs params: missing id");
  const [{ jobs }, found] = await Promise.all([
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

async function jobOf(call: Call, params: z.infer<typeof byId>): Promise<CronJob> {
  const jobId = params.id ?? params.jobId;
  if (jobId === undefined) throw new HAError("REQUEST_INVALID", "invalid cron params: missing id");
  const job = await call.gateway.cron.get(call.tenant, jobId);
  if (job === null) throw notFound(jobId);
  return job;
}

const notFound = (jobId: string): HAError =>
  new HAError(
    "NOT_FOUND",
    `cron job not found: ${jobId}. List automations and retry with a current job id.`,
    {
      code: "CRON_JOB_NOT_FOUND",
      jobId,
    },
  );

/** The first time of a new job. One for a time that has just passed is due now. */
const firstRun = (jobId: string, definition: CronDefinition, at: number): number | null =>
  definition.schedule.kind === "at"
    ? Date.parse(definition.schedule.at)
    : nextRunAfter({ jobId, definition, last: null }, at);

/** The next time of a job that was changed. One for one time that has had its run well has none. */
function nextRun(job: CronJob, definition: CronDefinition, at: number): number | null {
  const { schedule } = definition;
  if (schedule.kind !== "at") return nextRunAfter({ jobId: job.jobId, definition, last: job.last }, at);
  const due = Date.parse(schedule.at);
  return job.last?.status === "ok" && job.last.at >= due ? null : due;
}

const localZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Tells all gateways; where the bus is away, at least this one's connections hear of it. */
function tell(call: Call, notice: CronNotice): void {
  call.gateway.bus.notify(call.tenant, notice).catch(() => call.hub.onNotice(notice));
}
