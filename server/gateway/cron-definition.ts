import { z } from "zod";
import { type AgentCatalog, findAgent, findModel } from "../core/catalog.ts";
import type { CronDefinition, CronPayload, CronSchedule, CronSessionTarget } from "../core/cron.ts";
import { HAError } from "../core/errors.ts";
import type { AgentId } from "../core/ids.ts";
import { nextRunAfter } from "../cron/schedule.ts";
import { resolveSession, unknownModel } from "./accept-run.ts";
import { unknownAgent } from "./protocol/errors.ts";

const NAME_MAX = 200;
const TEXT_MAX = 100_000;
const EVERY_MIN_MS = 1_000;
const PAST_MAX_MS = 60_000;
const FUTURE_MAX_MS = 10 * 365.25 * 86_400_000;
const MS_MAX = 8_640_000_000_000_000;

/** What the pool has nothing to do it with, by the field that asks for it. Refused, never ignored. */
const MISSING: Readonly<Record<string, string>> = {
  trigger: "condition triggers are not available: they run scripts on the gateway's machine",
  pacing: "pacing is not available",
  declarationKey: "declarationKey is not available: add the job once and change it by its id",
};
const SCHEDULES =
  "schedule.kind must be at, every or cron (on-exit and stream run commands on the gateway's machine)";
const PAYLOADS =
  "payload.kind must be agentTurn or systemEvent (command and script run on the gateway's machine)";
const NO_CHANNELS =
  "delivery to channels and webhooks is not available: use delivery.mode none (--no-deliver), the answer stays in the job's session";

const name = z.string().trim().min(1).max(NAME_MAX);
const schedule = z.discriminatedUnion(
  "kind",
  [
    z.object({ kind: z.literal("at"), at: z.string() }),
    z.object({
      kind: z.literal("every"),
      everyMs: z.number().int().min(EVERY_MIN_MS).max(MS_MAX),
      anchorMs: z.number().int().min(0).max(MS_MAX).optional(),
    }),
    z.object({
      kind: z.literal("cron"),
      expr: z.string().trim().min(1).max(NAME_MAX),
      tz: z.string().trim().min(1).max(64).optional(),
      staggerMs: z.number().int().min(0).max(86_400_000).optional(),
    }),
  ],
  { error: SCHEDULES },
);
const payload = z.discriminatedUnion(
  "kind",
  [
    z.object({ kind: z.literal("systemEvent"), text: z.string().trim().min(1).max(TEXT_MAX) }),
    z.object({
      kind: z.literal("agentTurn"),
      message: z.string().trim().min(1).max(TEXT_MAX),
      model: z.string().optional(),
      thinking: z.string().optional(),
      timeoutSeconds: z.number().int().min(0).max(2_000_000).optional(),
      fallbacks: z.undefined({ error: "payload.fallbacks is not available" }).optional(),
      toolsAllow: z
        .array(z.literal("*", { error: 'payload.toolsAllow is not available: it must be ["*"]' }))
        .optional(),
    }),
  ],
  { error: PAYLOADS },
);
const delivery = z.object({
  mode: z.enum(["none", "announce"], { error: NO_CHANNELS }),
  // The published programs send `last` where nobody named a channel.
  channel: z.literal("last", { error: NO_CHANNELS }).optional(),
  to: z.undefined({ error: NO_CHANNELS }).optional(),
  accountId: z.undefined({ error: NO_CHANNELS }).optional(),
  threadId: z.undefined({ error: NO_CHANNELS }).optional(),
  failureDestination: z.undefined({ error: NO_CHANNELS }).optional(),
  completionDestination: z.undefined({ error: NO_CHANNELS }).optional(),
  bestEffort: z.boolean().optional(),
});
const target = z
  .string()
  .trim()
  .refine((value) => value === "main" || value === "isolated" || /^session:\S/.test(value), {
    error: "sessionTarget must be main, isolated or session:<key>",
  });

const fields = {
  name,
  displayName: name.optional(),
  description: z.string().trim().max(TEXT_MAX).optional(),
  agentId: z.string().trim().min(1).optional(),
  enabled: z.boolean().optional(),
  deleteAfterRun: z.boolean().optional(),
  schedule,
  sessionTarget: target.optional(),
  wakeMode: z.enum(["now", "next-heartbeat"]).optional(),
  payload,
  delivery: delivery.optional(),
};

/** What `cron.add` takes, without the id. */
export const cronWish = z.object(fields);
type CronWish = z.infer<typeof cronWish>;

/** What `cron.update` takes: what is named changes, and null clears. Payload and delivery are merged. */
export const cronPatch = z
  .object({
    ...fields,
    displayName: z.union([name, z.null()]),
    agentId: z.union([z.string().trim().min(1), z.null()]),
    payload: z.looseObject({ kind: z.string().optional() }),
    delivery: z.looseObject({}),
  })
  .partial();
type CronPatch = z.infer<typeof cronPatch>;

/** @throws HAError REQUEST_INVALID naming the first field that asks for what the pool does not have */
export function refuseMissing(wish: Readonly<Record<string, unknown>>): void {
  for (const [field, why] of Object.entries(MISSING)) {
    if (wish[field] !== undefined && wish[field] !== null) throw invalid(why);
  }
  const alert = wish["failureAlert"];
  if (alert !== undefined && alert !== null && alert !== false)
    throw invalid("failureAlert is not available: the pool has no channels");
}

/**
 * A job as it is stored, with every default filled in. `schedule` has been checked (checkedSchedule).
 * @throws HAError REQUEST_INVALID for what does not fit together, or names an agent, model or session that there is not
 */
export function cronDefinition(
  catalog: AgentCatalog,
  wish: Omit<CronWish, "schedule">,
  timing: Pick<CronDefinition, "schedule" | "zone">,
): CronDefinition {
  const sessionTarget = (wish.sessionTarget ??
    (wish.payload.kind === "systemEvent" ? "main" : "isolated")) as CronSessionTarget;
  const agentId = wish.agentId?.toLowerCase() as AgentId | undefined;
  if (agentId !== undefined && !findAgent(catalog, agentId)) throw unknownAgent(agentId);
  if (sessionTarget === "isolated" && wish.payload.kind !== "agentTurn") {
    throw invalid('isolated cron jobs require payload.kind="agentTurn"');
  }
  if (sessionTarget === "main") {
    if (wish.payload.kind !== "systemEvent")
      throw invalid('main cron jobs require payload.kind="systemEvent"');
    if (agentId !== undefined && agentId !== catalog.defaultAgentId) {
      throw invalid(
        'sessionTarget "main" is only valid for the default agent: use "isolated" with an agentTurn',
      );
    }
    if (wish.delivery?.mode === "announce") throw invalid('delivery is only for sessionTarget "isolated"');
  }
  if (sessionTarget.startsWith("session:")) {
    if (wish.payload.kind !== "agentTurn")
      throw invalid('session cron jobs require payload.kind="agentTurn"');
    resolveSession(catalog, sessionTarget.slice("session:".length), agentId);
  }
  const removes = wish.deleteAfterRun ?? (timing.schedule.kind === "at" ? true : undefined);
  return {
    name: wish.name,
    ...(wish.displayName === undefined ? {} : { displayName: wish.displayName }),
    ...(wish.description === undefined || wish.description === "" ? {} : { description: wish.description }),
    ...(agentId === undefined ? {} : { agentId }),
    ...timing,
    sessionTarget,
    wakeMode: wish.wakeMode ?? "now",
    payload: checkedPayload(catalog, wish.payload),
    ...deliveryOf(wish, sessionTarget),
    ...(removes === undefined ? {} : { deleteAfterRun: removes }),
  };
}

/** The wish that a job and a patch of it make together. */
export function patchedWish(job: CronDefinition, patch: CronPatch): Readonly<Record<string, unknown>> {
  const { displayName, agentId, payload: newPayload, delivery: newDelivery, ...plain } = patch;
  const { zone: _, delivery: oldDelivery, ...current } = job;
  const sameKind = newPayload?.kind === undefined || newPayload.kind === job.payload.kind;
  const kept = patch.sessionTarget === "main" ? undefined : oldDelivery;
  return withoutNulls({
    ...current,
    delivery: newDelivery === undefined ? kept : withoutNulls({ ...kept, ...newDelivery }),
    ...Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined)),
    ...(displayName === undefined ? {} : { displayName }),
    ...(agentId === undefined ? {} : { agentId }),
    ...(newPayload === undefined
      ? {}
      : { payload: withoutNulls(sameKind ? { ...job.payload, ...newPayload } : newPayload) }),
  });
}

const withoutNulls = (value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null && field !== undefined));

/**
 * A schedule with its defaults. `zone` is that of expressions that name none.
 * @throws HAError REQUEST_INVALID for a time that is over or an expression that nobody understands
 */
export function checkedSchedule(wish: CronWish["schedule"], now: number, zone: string): CronSchedule {
  if (wish.kind === "every") return { kind: "every", everyMs: wish.everyMs, anchorMs: wish.anchorMs ?? now };
  if (wish.kind === "at") {
    // Without a zone it is UTC, as in the genuine gateway, wherever this process runs.
    const written = wish.at.trim();
    const at = Date.parse(
      /(?:z|[+-]\d\d:?\d\d)$/i.test(written) || !written.includes("T") ? written : `${written}Z`,
    );
    if (Number.isNaN(at))
      throw invalid(`Invalid schedule.at: expected ISO-8601 timestamp (got ${wish.at.slice(0, 80)})`);
    const iso = new Date(at).toISOString();
    if (at < now - PAST_MAX_MS)
      throw invalid(`schedule.at is in the past: ${iso}. Current time: ${new Date(now).toISOString()}`);
    if (at > now + FUTURE_MAX_MS)
      throw invalid(`schedule.at is too far in the future: ${iso}. Maximum allowed: 10 years`);
    return { kind: "at", at: iso };
  }
  const { expr, tz, staggerMs } = wish;
  const checked: CronSchedule = {
    kind: "cron",
    expr,
    ...(tz === undefined ? {} : { tz }),
    ...(staggerMs === undefined ? {} : { staggerMs }),
  };
  let next: number | null;
  try {
    next = nextRunAfter({ jobId: "", definition: { schedule: checked, zone }, last: null }, now);
  } catch (error) {
    throw invalid(
      `schedule ${JSON.stringify(expr)}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (next === null) throw invalid(`schedule ${JSON.stringify(expr)} names no time that will ever come`);
  return checked;
}

function checkedPayload(catalog: AgentCatalog, wish: CronWish["payload"]): CronPayload {
  if (wish.kind === "systemEvent") return { kind: "systemEvent", text: wish.text };
  const { message, model, thinking, timeoutSeconds } = wish;
  if (model !== undefined && !findModel(catalog, model)) throw unknownModel(model);
  return {
    kind: "agentTurn",
    message,
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
}

function deliveryOf(
  { delivery: wish }: Pick<CronWish, "delivery">,
  sessionTarget: CronSessionTarget,
): Pick<CronDefinition, "delivery"> {
  if (sessionTarget === "main") return {};
  const { mode, bestEffort } = wish ?? { mode: "announce" };
  return { delivery: { mode, ...(bestEffort === undefined ? {} : { bestEffort }) } };
}

const invalid = (why: string): HAError => new HAError("REQUEST_INVALID", why);
