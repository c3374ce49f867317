import { asHAError, HAError } from "../core/errors.ts";
import { SCALED_POOLS, type ScaledPool } from "../core/scaling.ts";
import { ensureFolder } from "./atomic-file.ts";
import type { DeploymentBook } from "./book.ts";
import type { ApplyRequest, Progress, ScaleRequest, UpgradeRequest } from "./contract.ts";
import { converge, instanceRuns, resize, specsOf } from "./converge.ts";
import type { DeploymentProgram, DeploymentState, DesiredTopology } from "./deployment.ts";
import { deploymentPaths } from "./deployment.ts";
import { inspector } from "./inspect.ts";
import { instanceNames, poolOf, STOP_ORDER } from "./instances.ts";
import { joining } from "./joining.ts";
import { createMonitor } from "./monitor.ts";
import type { DeploymentSecrets } from "./secrets.ts";
import { mergeSecrets } from "./secrets.ts";
import { decidedTopology, scaledTopology, sizeWishes } from "./scaling.ts";
import type { SupervisorParts } from "./parts.ts";
import type { DeploymentView } from "./view.ts";

export interface Supervisor {
  /**
   * Makes the deployment be as asked, and resolves when it is ready. What an earlier supervisor left running is taken
   * over. A first start that fails is undone; a change that fails leaves what ran before. Calls run one after another.
   * @throws HAError saying what failed; DRAINING when `stop` came meanwhile, with `details.retry` when it came before
   */
  apply(request: ApplyRequest, progress: Progress): Promise<DeploymentView>;
  /**
   * Changes sizes and how they are decided, as `apply` would; what was drained comes back.
   * @throws HAError as `apply`; NOT_RUNNING where nothing was started; REQUEST_INVALID for limits that cannot be kept
   */
  scale(request: ScaleRequest, progress: Progress): Promise<DeploymentView>;
  /**
   * Brings every instance to another checkout of the program, or to this one and its configuration as they are now: one
   * at a time, each only when the one before is ready and stays so. One that is not sends all of them back. An upgrade
   * that a supervisor did not live to end is ended, or undone, by the next `apply` or `upgrade`, before all else.
   * @throws HAError as `apply`; NOT_RUNNING where nothing was started; REQUEST_CONFLICT unless all is well before
   */
  upgrade(request: UpgradeRequest, progress: Progress): Promise<DeploymentView>;
  /**
   * Ends an instance in order: it takes no more work, hands over what it has, and stays away until the next `apply` or
   * `scale`. Resolves when it is gone; doing it again changes nothing.
   * @throws HAError NOT_FOUND for what is no instance of a pool; NOT_RUNNING
   */
  drain(instance: string, progress: Progress): Promise<DeploymentView>;
  /** Ends everything in order and keeps the data; an `apply` under way gives up. Resolves when nothing runs. */
  stop(progress: Progress): Promise<DeploymentView>;
  view(): Promise<DeploymentView>;
  /** Looks at everything once and writes down what changed. */
  check(): Promise<void>;
  /** Gives the pools the sizes that were decided for them. Resolves when that is done; calls meanwhile share it. */
  follow(): Promise<void>;
  /** Leaves everything running, for the next supervisor. */
  detach(): Promise<void>;
  /** True from when something was asked for until it was stopped or has failed to start. */
  engaged(): boolean;
  /** True while the size of a pool is decided elsewhere, so that `follow` should be called often. */
  automatic(): boolean;
}

/** Who changes something, for the record of decisions. */
interface Order {
  readonly reason: string;
  /** Pools whose size is asked for, also where it stays the same. */
  readonly sizes?: readonly ScaledPool[];
  /** What an operator has drained stays away. */
  readonly keepsDrained?: boolean;
  /** What instances are to run from. */
  readonly program?: DeploymentProgram;
}

interface Before {
  readonly state: DeploymentState;
  readonly secrets: DeploymentSecrets;
  /** Instances ran when the change was asked for. */
  readonly running: boolean;
}

/** Whoever creates one must hold the lock of the data directory. */
export function createSupervisor(parts: SupervisorParts): Supervisor {
  const { book, clock, database, logger, provisioner, stores } = parts;
  const postgresUrl = (): string => {
    const url = book.secrets().urls.postgres;
    if (url === undefined) throw new HAError("NOT_RUNNING", "PostgreSQL was never started");
    return url;
  };
  const monitor = createMonitor(clock, async () => database.observe({ url: postgresUrl() }));
  const activity = createMonitor(clock, async () => database.activity({ url: postgresUrl() }));
  const newcomers = joining(clock);
  const seen = inspector(parts, monitor, activity, newcomers);
  let following: Promise<void> | null = null;
  let engaged = false;
  let applying: AbortController | null = null;
  let leaving: HAError | null = null;
  let last: Promise<unknown> = Promise.resolve();

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };

  /** Changes that wait or are under way give up; later ones are refused. */
  function leave(reason: string): void {
    leaving ??= new HAError("DRAINING", reason);
    applying?.abort(leaving);
  }

  /** What runs is a deployment that was started. @throws HAError NOT_RUNNING */
  function running(): DesiredTopology {
    if (leaving !== null) throw new HAError("DRAINING", leaving.message, { retry: true });
    const { desired, name, phase } = book.state();
    if (desired !== null && phase !== "stopped") return desired;
    throw new HAError("NOT_RUNNING", `deployment ${JSON.stringify(name)} does not run`, {
      hint: "start it with `openclaw-ha up`",
    });
  }

  async function apply(
    request: ApplyRequest,
    progress: Progress,
    { keepsDrained = false, program, reason, sizes = [] }: Order,
  ): Promise<DeploymentView> {
    if (leaving !== null) throw new HAError("DRAINING", leaving.message, { retry: true });
    const before = { state: book.state(), secrets: book.secrets(), running: await somethingRuns() };
    const { desired } = request;
    applying = new AbortController();
    engaged = true;
    try {
      refuseOtherData(before.state.desired, desired);
      await ensureFolder(deploymentPaths(book.dataDir).objects);
      await book.save({
        desired,
        phase: phaseDuring(before),
        failure: null,
        drained: keepsDrained ? before.state.drained : [],
        ...programChange(before, parts.program, program),
      });
      if (before.running) newcomers.add(newIds(before.state, desired));
      await book.saveSecrets(mergeSecrets(before.secrets, request.secrets));
      await converge(
        parts,
        {
          desired,
          takeover: before.running && sameStores(before, book),
          tenants: request.tenants ?? [],
          limits: request.limits,
          wishes: sizeWishes(before.state.desired, desired, { reason, sizes }),
        },
        progress,
        applying.signal,
      );
      await book.save({ phase: "ready", upgrade: null });
      logger.info("deployment.ready", { deployment: book.state().name });
      return await seen.view();
    } catch (thrown) {
      const error = asHAError(thrown);
      const told = upgradeFailed(book.state(), error);
      logger.error("deployment.failed", { code: told.code, reason: told.message });
      await undo(before, told, progress).catch((undoing: unknown) => {
        logger.error("deployment.undo_failed", { reason: asHAError(undoing).message });
      });
      throw told;
    } finally {
      applying = null;
    }
  }

  async function somethingRuns(): Promise<boolean> {
    for (const id of await provisioner.known()) if (await instanceRuns(parts, id)) return true;
    return false;
  }

  /** After a failed start nothing is left behind; after a failed change what ran before runs on. */
  async function undo(before: Before, error: HAError, progress: Progress): Promise<void> {
    const hint = typeof error.details["hint"] === "string" ? error.details["hint"] : null;
    const failure = {
      code: error.code,
      message: error.message,
      hint,
      at: new Date(clock.now()).toISOString(),
    };
    const { desired } = before.state;
    const pending = book.state().upgrade;
    if (before.running && desired !== null) {
      const back = pending === null || leaving !== null ? {} : { program: pending.from, upgrade: null };
      await book.save({ desired, phase: "degraded", failure, drained: before.state.drained, ...back });
      await book.saveSecrets(before.secrets);
      if (leaving === null)
        await provisioner.apply(specsOf(book, desired), (id) => progress(`restoring ${id}`));
      return;
    }
    await stopAll(progress);
    engaged = false;
    await book.save({ desired, phase: "stopped", failure });
  }

  async function scale(request: ScaleRequest, progress: Progress): Promise<DeploymentView> {
    const desired = scaledTopology(running(), request);
    const sizes = SCALED_POOLS.filter((pool) => request[pool]?.size !== undefined);
    return apply({ desired, secrets: {} }, progress, { reason: "openclaw-ha scale", sizes });
  }

  async function upgrade(
    { program: { root, version }, ...request }: UpgradeRequest,
    progress: Progress,
  ): Promise<DeploymentView> {
    const reason = "openclaw-ha upgrade";
    // Takes over, and ends what an earlier upgrade began.
    if (!engaged) await apply({ desired: running(), secrets: {} }, progress, { reason, keepsDrained: true });
    const view = await seen.view();
    if (view.phase !== "ready") throw notWell(view);
    running();
    const program = { root, version, revision: new Date(clock.now()).toISOString() };
    return apply(request, progress, { reason, keepsDrained: true, program });
  }

  async function drain(instance: string, progress: Progress): Promise<DeploymentView> {
    const ids = instanceNames(running()).flatMap(({ id, pool }) => (pool === "model" ? [] : [id]));
    if (!ids.includes(instance)) {
      throw new HAError("NOT_FOUND", `there is no instance ${JSON.stringify(instance)}`, {
        hint: `drain one of ${ids.join(", ")}`,
      });
    }
    // After a supervisor that died nobody watches the others yet.
    if (!engaged) await apply({ desired: running(), secrets: {} }, progress, { reason: "openclaw-ha drain" });
    const { drained } = book.state();
    if (!drained.includes(instance)) await book.save({ drained: [...drained, instance] });
    progress(`draining ${instance}`);
    await provisioner.stop(instance, parts.graceMs);
    logger.info("instance.drained", { id: instance });
    return seen.view();
  }

  /** Asks again before it acts: what was observed may be older than what an operator has said since. */
  async function followDecisions(): Promise<void> {
    if (leaving !== null || decidedNow() === null) return;
    await inTurn(async () => {
      const observation = await monitor.fresh();
      if (observation === null || leaving !== null || !engaged) return;
      book.note({ observation });
      const decided = decidedNow();
      if (decided === null) return;
      const before = book.state();
      newcomers.add(newIds(before, decided));
      logger.info("deployment.resized", { gateways: decided.gateways, workers: decided.workers });
      await resize(parts, decided);
    });
  }

  /** The topology that the last observation asks for; null where it is the one that there is. */
  function decidedNow(): DesiredTopology | null {
    const { desired, observation } = book.state();
    if (desired === null || observation?.sizes === undefined) return null;
    const decided = decidedTopology(desired, observation.sizes);
    return decided === desired ? null : decided;
  }

  async function stopAll(progress: Progress): Promise<void> {
    const ids = await provisioner.known();
    for (const pool of new Set([...STOP_ORDER, ...ids.map(poolOf)])) {
      const members = ids.filter((id) => poolOf(id) === pool);
      if (members.length === 0) continue;
      progress(`stopping ${members.join(", ")}`);
      await Promise.all(members.map((id) => provisioner.stop(id, parts.graceMs)));
    }
    await stores.stop(progress);
  }

  return {
    apply: (request, progress) => inTurn(() => apply(request, progress, { reason: "openclaw-ha up" })),
    scale: (request, progress) => inTurn(() => scale(request, progress)),
    upgrade: (request, progress) => inTurn(() => upgrade(request, progress)),
    drain: (instance, progress) => inTurn(() => drain(instance, progress)),
    stop(progress) {
      leave("the deployment is being stopped");
      return inTurn(async () => {
        await book.save({ phase: "stopping" });
        await stopAll(progress);
        await database.close();
        engaged = false;
        await book.save({ phase: "stopped", failure: null });
        logger.info("deployment.stopped", { deployment: book.state().name });
        return seen.view();
      });
    },
    view: () => seen.view(),
    check: () => seen.check(),
    follow: () => (following ??= followDecisions().finally(() => (following = null))),
    async detach() {
      leave("the supervisor is ending");
      await last;
      await provisioner.detach();
      await stores.detach();
      await database.close();
    },
    engaged: () => engaged,
    automatic: () => SCALED_POOLS.some((pool) => book.state().desired?.scaling[pool].auto === true),
  };
}

/** What an order makes of what instances run from. What starts from nothing starts from this checkout. */
function programChange(
  { running, state }: Before,
  own: DeploymentProgram,
  to: DeploymentProgram | undefined,
): Partial<DeploymentState> {
  if (!running) return { program: own, upgrade: null };
  const program = state.program ?? own;
  if (to === undefined) return { program };
  return { program: to, upgrade: { from: program, startedAt: to.revision } };
}

/** An error of an order that was to bring another program, in words that say what becomes of it. */
function upgradeFailed({ program, upgrade }: DeploymentState, error: HAError): HAError {
  if (upgrade === null || program === null || error.code === "DRAINING") return error;
  const what = `the upgrade to ${program.version} (${program.root}) is undone: ${error.message}`;
  return new HAError(error.code, what, error.details, { cause: error });
}

function notWell({ instances, stores }: DeploymentView): HAError {
  const ill = [
    ...instances
      .filter(({ state }) => state !== "ready" && state !== "stopped")
      .map(({ id, state }) => `${id} is ${state}`),
    ...Object.entries(stores).flatMap(([name, { healthy }]) => (healthy ? [] : [`${name} does not answer`])),
  ];
  return new HAError("REQUEST_CONFLICT", `an upgrade begins where all is well: ${ill.join(", ")}`, {
    hint: "see `openclaw-ha status` and `openclaw-ha doctor`; `openclaw-ha up` mends what it can",
  });
}

/** Instances that a topology adds to what there is. */
function newIds({ desired: before }: DeploymentState, desired: DesiredTopology): string[] {
  const known = new Set(before === null ? [] : instanceNames(before).map(({ id }) => id));
  return instanceNames(desired).flatMap(({ id }) => (known.has(id) ? [] : [id]));
}

/** True when the same stores are wanted at the same addresses: what runs can go on with them, away or not. */
function sameStores({ secrets, state }: Before, book: DeploymentBook): boolean {
  const stores = ({ desired }: DeploymentState, { urls }: DeploymentSecrets): string =>
    JSON.stringify([
      desired?.postgres,
      desired?.redis,
      desired?.nats,
      desired?.objects,
      urls.postgres,
      urls.redis,
      urls.nats,
    ]);
  return stores(state, secrets) === stores(book.state(), book.secrets());
}

/** A change to what runs well is no reason to call it anything else; whether it still does is seen by looking. */
const phaseDuring = ({ running, state }: Before): DeploymentState["phase"] => {
  if (!running) return "starting";
  return state.phase === "ready" ? "ready" : "degraded";
};

/**
 * Data stays where it is: another store would look like an empty deployment.
 * @throws HAError CONFIG_INVALID
 */
export function refuseOtherData(before: DesiredTopology | null, next: DesiredTopology): void {
  if (before === null) return;
  const changed = (["postgres", "objects"] as const).find((store) => before[store].mode !== next[store].mode);
  if (changed === undefined) return;
  const modes = `${before[changed].mode}; it cannot change to ${next[changed].mode}`;
  throw new HAError("CONFIG_INVALID", `this deployment keeps its ${changed} data in mode ${modes}`, {
    store: changed,
    hint: "use another --name, or delete this one's data with `openclaw-ha down --purge`",
  });
}
