import { join } from "node:path";
import { Pool } from "pg";
import { HAError } from "../server/core/errors.ts";
import type { Clock } from "../server/ports/clock.ts";
import { seededRandom } from "../server/testing/seeded-random.ts";
import type { FaultContext } from "./faults/context.ts";
import { injectFault } from "./faults/inject.ts";
import { readHistory } from "./history/reader.ts";
import { openHistory } from "./history/writer.ts";
import type { HistoryWriter } from "./history/writer.ts";
import type { Scenario } from "./scenario.ts";
import { collectStores } from "./stores/collect.ts";
import { hasBackgroundWork, holderOf, modelCalls } from "./stores/live.ts";
import type { Target } from "./targets/target.ts";
import { type ChaosClient, chaosClient } from "./traffic/client.ts";
import { driveTraffic } from "./traffic/drive.ts";
import { planTraffic, type TrafficPlan } from "./traffic/plan.ts";
import { storm } from "./traffic/storm.ts";
import type { Evidence } from "./validators/validator.ts";
import { watchInstances, watchLeases } from "./watch.ts";

export interface RecordOptions {
  readonly scenario: Scenario;
  readonly target: Target;
  readonly seed: number;
  /** Overrides the scenario's own; faults keep their times. */
  readonly durationMs: number | null;
  /** Gets `history.jsonl`. Must exist. */
  readonly dir: string;
  /** What to type to run it again. */
  readonly command: string;
  readonly plantedBug: string | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

export const HISTORY_FILE = "history.jsonl";

const HEALTHY_WITHIN_MS = 30_000;
const WARM_WITHIN_MS = 20_000;
const POLL_MS = 50;
const FLUSH_EVERY_MS = 250;
/** Traffic goes on a little after the last fault, so that what it left behind meets somebody. */
const AFTER_LAST_FAULT_MS = 1_000;

/**
 * Runs one scenario against a deployment that is up: traffic, faults on time, settling, and what the stores hold.
 * @throws HAError NOT_RUNNING (exit code 69) when the deployment is not healthy before the fault: a sick patient proves
 *   nothing
 * @throws AbortError when it was interrupted; the history is then on disk, cut off
 */
export async function recordRun(options: RecordOptions): Promise<Evidence> {
  const { clock, dir, progress, scenario, seed, signal, target } = options;
  await requireHealth(target, clock, signal);
  const random = seededRandom(seed);
  // The seed decides what is done; the name keeps it apart from every other run of the same deployment.
  const run = `r${clock.now().toString(36)}`;
  const gateways = await target.gateways();
  const durationMs = options.durationMs ?? scenario.durationMs;
  const plan = planTraffic({
    spec: scenario.traffic,
    durationMs,
    gateways: gateways.length,
    random,
    run,
    faults: scenario.faults,
  });
  const file = join(dir, HISTORY_FILE);
  const history = openHistory(
    file,
    {
      scenario: scenario.name,
      claim: scenario.claim,
      seed,
      target: target.kind,
      gateways: gateways.length,
      workers: scenario.topology.workers,
      tenants: [...plan.tenants],
      plantedBug: options.plantedBug,
      command: options.command,
    },
    clock,
  );
  const sessionPrefix = `agent:main:${run}-`;
  const database = new Pool({
    connectionString: target.stores.databaseUrl,
    max: 3,
    connectionTimeoutMillis: 2_000,
    query_timeout: 10_000,
  });
  database.on("error", () => {}); // a killed PostgreSQL; the next query connects anew
  const watching = new AbortController();
  const clients: ChaosClient[] = [];
  const flushing = setInterval(() => history.flush(), FLUSH_EVERY_MS);
  try {
    const tokens = await Promise.all(plan.tenants.map(({ id }) => target.tenant(id)));
    clients.push(...makeClients(plan, tokens, gateways, history));
    const watches = [
      watchInstances(target, history, clock, watching.signal),
      watchLeases(database, sessionPrefix, history, clock, watching.signal),
    ];
    await warmUp(plan, clients, history, { clock, signal });
    history.write({ type: "note", text: "warmed up: traffic and faults begin" });
    progress(`${scenario.name}: traffic for ${Math.round(durationMs / 100) / 10} s, seed ${seed}`);
    const context: FaultContext = {
      target,
      history,
      clock,
      random: seededRandom(seed + 1),
      signal,
      progress: (text) => progress(`${scenario.name}: ${text}`),
      holder: () => holderOf(database, plan.tenants[0]?.id ?? "", plan.hotSession),
      storm: (count, times) => storm(count, times, { clients, gateways, token: tokens[0]?.token ?? "" }),
      modelCalls: (directives) => modelCalls(target.stores.demoModelUrl, run, directives),
    };
    await Promise.all([
      driveTraffic(plan, clients, clock, signal),
      ...scenario.faults.map(async ({ atMs, fault }, i) => {
        await clock.sleep(atMs, signal);
        if (!signal.aborted) await injectFault(context, `f${i + 1}`, fault);
      }),
    ]);
    signal.throwIfAborted();
    await clock.sleep(AFTER_LAST_FAULT_MS, signal);
    const heard = await settle(clients, history, scenario.settleWithinMs, { clock, signal });
    const settled =
      heard &&
      (await settleBackground(plan, database, sessionPrefix, scenario.settleWithinMs, { clock, signal }));
    progress(`${scenario.name}: ${settled ? "settled" : `not settled within ${scenario.settleWithinMs} ms`}`);
    signal.throwIfAborted();
    await target.ready(HEALTHY_WITHIN_MS);
    await Promise.all(lastLooks(plan, clients));
    await Promise.all(clients.map((client) => client.close()));
    watching.abort();
    await Promise.all(watches.map(({ over }) => over));
    history.end(settled);
    const stores = await collectStores({
      database,
      redisUrl: target.stores.redisUrl,
      demoModelUrl: target.stores.demoModelUrl,
      objects: target.objects,
      folders: target.folders,
      tenants: plan.tenants,
      sessionPrefix,
      keyPrefix: `${run}-`,
      now: clock.now(),
    });
    return { history: readHistory(file), stores };
  } finally {
    watching.abort();
    clearInterval(flushing);
    history.abandon();
    await Promise.all(clients.map((client) => client.close()));
    await database.end();
  }
}

type Waiting = Pick<RecordOptions, "clock" | "signal">;

async function requireHealth(target: Target, clock: Clock, signal: AbortSignal): Promise<void> {
  const until = clock.monotonic() + HEALTHY_WITHIN_MS;
  let { healthy, reason } = await target.health();
  while (!healthy && target.kind !== "attach" && clock.monotonic() < until && !signal.aborted) {
    await clock.sleep(POLL_MS * 4, signal);
    ({ healthy, reason } = await target.health());
  }
  signal.throwIfAborted();
  if (healthy) return;
  throw new HAError("NOT_RUNNING", `the deployment is not healthy before anything is broken: ${reason}`, {
    hint: "a sick patient proves nothing; see `openclaw-ha status` and `openclaw-ha doctor`",
  });
}

function makeClients(
  plan: TrafficPlan,
  tokens: readonly { readonly id: string; readonly token: string }[],
  gateways: readonly { readonly id: string; readonly url: string }[],
  history: HistoryWriter,
): ChaosClient[] {
  return plan.clients.map(({ home, name, tenant }) =>
    chaosClient({
      name,
      tenant: tokens[tenant]?.id ?? "",
      token: tokens[tenant]?.token ?? "",
      gateways: [...gateways.slice(home), ...gateways.slice(0, home)],
      foreignCanaries: plan.tenants.flatMap(({ canary }, other) => (other === tenant ? [] : [canary])),
      history,
    }),
  );
}

/** One answered message for every tenant: the deployment does work before it is broken. */
async function warmUp(
  plan: TrafficPlan,
  clients: readonly ChaosClient[],
  history: HistoryWriter,
  waiting: Waiting,
): Promise<void> {
  for (const message of plan.warmUp) void clients[message.client]?.send(message.message);
  if (await settle(clients, history, WARM_WITHIN_MS, waiting)) return;
  waiting.signal.throwIfAborted();
  throw new HAError("NOT_RUNNING", `the deployment did not answer a message within ${WARM_WITHIN_MS} ms`, {
    hint: "nothing was broken yet; see `openclaw-ha doctor`",
  });
}

/** True when every client has heard the end of everything that was accepted of it. */
async function settle(
  clients: readonly ChaosClient[],
  history: HistoryWriter,
  withinMs: number,
  { clock, signal }: Waiting,
): Promise<boolean> {
  const until = clock.monotonic() + withinMs;
  const isOver = (): boolean =>
    clients.every((client) => {
      const { unanswered, unended } = client.open();
      return unanswered === 0 && unended === 0;
    });
  while (!isOver()) {
    if (signal.aborted) return false;
    if (clock.monotonic() > until) {
      for (const client of clients) {
        const { unanswered, unended } = client.open();
        if (unanswered + unended === 0) continue;
        history.write({
          type: "note",
          text: `${client.name} still waits for ${unanswered} answers and ${unended} ends`,
        });
      }
      return false;
    }
    await clock.sleep(POLL_MS, signal);
  }
  return true;
}

/** The same for what no client waits for: cron jobs and subagents. */
async function settleBackground(
  plan: TrafficPlan,
  database: Pool,
  sessionPrefix: string,
  withinMs: number,
  { clock, signal }: Waiting,
): Promise<boolean> {
  const hasSome = plan.actions.some(
    (action) => action.kind === "cron" || (action.kind === "send" && action.message.intent === "subagent"),
  );
  if (!hasSome) return true;
  const until = clock.monotonic() + withinMs;
  while (await hasBackgroundWork(database, sessionPrefix)) {
    if (signal.aborted || clock.monotonic() > until) return false;
    await clock.sleep(POLL_MS * 4, signal);
  }
  return true;
}

/** Every session as a client of its tenant reads it when all is over. */
function lastLooks(plan: TrafficPlan, clients: readonly ChaosClient[]): Promise<void>[] {
  const sessions = new Map<string, number>();
  for (const action of plan.actions) {
    if (action.kind === "send") sessions.set(action.message.sessionKey, action.client);
  }
  return [...sessions].map(async ([sessionKey, client]) => clients[client]?.history(sessionKey));
}
