import { z } from "zod";
import { storeInput } from "../../bodies/store-input.ts";
import type { CronDefinition, CronJob } from "../../core/cron.ts";
import { HAError } from "../../core/errors.ts";
import { changedNotice, startedNotice } from "../../cron/notices.ts";
import { manualOccurrence } from "../../cron/occurrence.ts";
import { nextRunAfter } from "../../cron/schedule.ts";
import {
  checkedSchedule,
  cronDefinition,
  cronPatch,
  cronWish,
  patchedWish,
  refuseMissing,
} from "../cron-definition.ts";
import { configRevision, cronJobView, deliveryPreview } from "../projection/cron-job.ts";
import { readParams } from "../protocol/params.ts";
import { byId, jobIdParam, jobOf, notFound } from "./cron-read.ts";
import { tell } from "./notices.ts";
import { type Call, method, type Method } from "./registry.ts";

/** How often a change is tried on what another one has changed meanwhile. */
const TRIES = 5;

/** Adds, changes, removes and runs cron jobs. The control process fires them in time (server/control/cron.ts). */
export const cronWriteMethods: readonly Method[] = [
  method({
    name: "cron.add",
    scope: "operator.admin",
    params: z.looseObject({ id: jobIdParam.optional() }),
    async handle(call, params) {
      const { gateway, tenant } = call;
      const at = await gateway.cron.now();
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
];

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
    const at = await gateway.cron.now();
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
  const { gateway } = call;
  for (let tries = 0; tries < TRIES; tries++) {
    const job = await jobOf(call, params);
    const at = await gateway.cron.now();
    if (job.running !== null) return { ok: true, ran: false, reason: "already-running" };
    if (params.mode === "due" && (job.nextRunAt === null || job.nextRunAt > at)) {
      return { ok: true, ran: false, reason: "not-due" };
    }
    const occurrence = manualOccurrence(gateway, job, at);
    const accept = occurrence.accept && (await storeInput(gateway.bodies, occurrence.accept));
    const [answer] = await gateway.cron.fire(null, [{ ...occurrence, accept }]);
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
