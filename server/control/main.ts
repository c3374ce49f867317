import type { AgentCatalog } from "../core/catalog.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import type { Clock } from "../ports/clock.ts";
import type { CronStore } from "../ports/cron-store.ts";
import type { TenantDirectory } from "../ports/directory.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { Random } from "../ports/random.ts";
import type { RunLedger } from "../ports/run-ledger.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import type { ScalingStore } from "../ports/scaling-store.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { SubagentStore } from "../ports/subagent-store.ts";
import { bodyStore } from "../bodies/body-store.ts";
import { asHAError } from "../core/errors.ts";
import { announcer } from "../subagents/announcer.ts";
import { stopSubagents } from "../subagents/stop-subagents.ts";
import { archive } from "./archiver.ts";
import { cronRunner } from "./cron.ts";
import { loop } from "./loop.ts";
import { moveLargeBodies } from "./move-bodies.ts";
import { requeuePass } from "./requeue.ts";
import { scaler } from "./scaling/scaler.ts";
import { sweeper } from "./sweep.ts";
import { tellAborted } from "./tell-aborted.ts";

/** Most of the time between a worker's death and its sessions' going on elsewhere is this pause. */
const SWEEP_MS = 300;
/** The queue's epoch is looked at this often; whole passes are rarer (requeue.ts). */
const REQUEUE_MS = 400;
const ORPHANS_MS = 5_000;
const ARCHIVE_MS = 5_000;
const SCALE_MS = 1_000;
/** A cron job that was added or changed is seen after this at the latest; what is due by then starts on time. */
const CRON_MS = 500;
/** What tenants keep is measured this often, where it is limited: it is exceeded by what comes in meanwhile. */
const STORAGE_MS = 15_000;
/** Workers announce the ends of subagents themselves, and gateways stop them; this finds what those that died have left. */
const SUBAGENTS_MS = 1_000;

export interface ControlDeps {
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly queue: RunQueue;
  readonly bus: EventBus;
  readonly objects: ObjectStore;
  readonly scaling: ScalingStore;
  readonly cron: CronStore;
  readonly subagents: SubagentStore;
  readonly directory: Pick<TenantDirectory, "measureStorage">;
  readonly catalog: Pick<AgentCatalog, "laneWidths" | "defaultAgentId" | "mainKey" | "cronEnabled">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry?: MetricsRegistry;
  /** Name of the process over its lives, `control-1`. */
  readonly instance: string;
  /** Pools that exist by configuration; those of live workers are found. */
  readonly pools: readonly string[];
  /** Rows of a session that stay in Postgres; default 200. */
  readonly tailRows?: number;
}

export interface ControlHandle {
  /** Resolves when the passes under way have ended. */
  close(): Promise<void>;
}

/**
 * Starts the repairs and the sizing of pools. Any number of control processes may run: all repairs are safe to repeat,
 * and one process sizes at a time; none holds anything that another would miss. Each loop goes on alone while another
 * one's store is away.
 */
export async function startControl(deps: ControlDeps): Promise<ControlHandle> {
  const stop = new AbortController();
  const repairs = sweeper(deps);
  const life = Buffer.from(deps.random.bytes(4)).toString("hex");
  const holder = `${deps.instance}.${life}`;
  const sizes = scaler({ ...deps, laneWidths: deps.catalog.laneWidths, holder });
  const bodies = bodyStore(deps);
  const jobs = cronRunner({ ...deps, bodies, holder });
  const children = announcer({ ...deps, bodies });
  const every = (
    name: string,
    intervalMs: number,
    pass: () => Promise<unknown>,
    share?: number,
  ): Promise<void> =>
    loop({ ...deps, name, intervalMs, pass, ...(share === undefined ? {} : { share }) }, stop.signal);
  const loops = [
    every("sweep", SWEEP_MS, () => repairs.sweep()),
    every("requeue", REQUEUE_MS, requeuePass({ ...deps, sweeper: repairs })),
    every("orphans", ORPHANS_MS, () => repairs.reclaimOrphans()),
    every("archive", ARCHIVE_MS, async () => {
      await moveLargeBodies(deps); // first: what it has moved makes segments small
      await archive(deps);
    }),
    // A slow database is when sizes matter: rarer passes would lose the lease and see too little.
    every("scale", SCALE_MS, () => sizes.pass(), 0.5),
    every("storage", STORAGE_MS, () => deps.directory.measureStorage(STORAGE_MS)),
    every("subagents", SUBAGENTS_MS, async () => {
      await stopSubagents(deps, (answers) => tellAborted(deps, answers));
      await children.announce();
    }),
    // It waits within its pass for what falls due, so it may take all of the time.
    ...(deps.catalog.cronEnabled ? [every("cron", CRON_MS, () => jobs.pass(CRON_MS, stop.signal), 1)] : []),
  ];
  const resign = (of: { resign(): Promise<void> }): Promise<void> =>
    of.resign().catch((error: unknown) => {
      deps.logger.debug("control.resign_failed", { code: asHAError(error).code }); // it lapses by itself
    });
  return {
    async close() {
      stop.abort();
      await Promise.all(loops);
      await Promise.all([resign(sizes), resign(jobs)]);
    },
  };
}
