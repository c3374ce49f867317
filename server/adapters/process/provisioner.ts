import { HAError } from "../../core/errors.ts";
import type { InstanceSpec, InstanceView, Provisioner } from "../../ports/provisioner.ts";
import { keepInstance, revisionOf } from "./kept-instance.ts";
import type { InstanceDeps, InstanceTrouble, KeptInstance } from "./kept-instance.ts";

/** An instance that ended so often in a row will not come up by itself. */
export const HOPELESS_CRASHES = 3;

export interface ProcessProvisionerOptions extends Omit<InstanceDeps, "onChange"> {
  /** What an instance may take to drain when `apply` stops or replaces it, milliseconds. */
  readonly graceMs: number;
  /** Longest to wait for a replaced instance to be ready before the next of its pool is replaced. */
  readonly replaceReadyMs: number;
  /** How long a replaced instance must have been ready before the next one is replaced; default 0. */
  readonly settleMs?: number;
}

/** Provisioner over processes of this machine, with what its supervisor needs beyond the port. */
export interface ProcessProvisioner extends Provisioner {
  /** `onReplace` is told of each instance that is about to be replaced. */
  apply(specs: readonly InstanceSpec[], onReplace?: (id: string) => void): Promise<void>;
  /** Instances that crashed and are not ready yet. */
  troubles(): InstanceTrouble[];
  /** Instances that a record names, kept or not. */
  known(): Promise<string[]>;
  /** Resolves at the next change of any view. */
  changed(): Promise<void>;
}

/**
 * Keeps instances as processes of this machine. They are started in sessions of their own and survive this process;
 * `detach` leaves them, and the next provisioner with the same records adopts them.
 *
 * `apply` starts what is missing at once, replaces what changed one after the other and each only when the one before
 * is ready, so that a pool of two or more goes on serving, and drains what is too much. It resolves when everything
 * was started or has ended, not when all is ready: `list` tells that. Calls run one after the other.
 * @throws HAError STORE_UNAVAILABLE from `apply` when a replaced instance does not get ready; the others are left as
 *   they were then
 */
export function processProvisioner(options: ProcessProvisionerOptions): ProcessProvisioner {
  const kept = new Map<string, KeptInstance>();
  let tellChange = Promise.withResolvers<void>();
  const deps: InstanceDeps = {
    ...options,
    onChange() {
      const told = tellChange;
      tellChange = Promise.withResolvers();
      told.resolve();
    },
  };
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };

  const keep = (spec: InstanceSpec): KeptInstance => {
    const instance = keepInstance(spec, deps);
    kept.set(spec.id, instance);
    return instance;
  };

  async function stopOne(id: string, graceMs: number): Promise<void> {
    const instance = kept.get(id);
    if (instance === undefined) return endRecorded(id, graceMs);
    await instance.stop(graceMs);
    // Until now it is listed as draining, so that nobody takes a stop in progress for the end of it.
    if (kept.get(id) === instance) kept.delete(id);
    deps.onChange();
  }

  /** An instance that only its record, or its own note, tells of: left by a supervisor that died. */
  async function endRecorded(id: string, graceMs: number): Promise<void> {
    const { processes, records } = options;
    for (const note of [await records.read(id), await records.noted(id)]) {
      if (note === null || processes.identify(note.pid) !== note.identity) continue;
      await processes.adopt(note.pid, note.identity).end([{ signal: "SIGTERM", waitMs: graceMs }]);
      processes.killGroup(note.pid);
    }
    await records.remove(id);
  }

  /** True once it is ready, false when it crashed again and again or took too long. */
  async function untilReady(instance: KeptInstance): Promise<boolean> {
    const deadline = options.clock.monotonic() + options.replaceReadyMs;
    for (;;) {
      const next = tellChange.promise;
      const { state } = instance.view();
      if (state === "ready") return true;
      const left = deadline - options.clock.monotonic();
      if (left <= 0 || (instance.trouble()?.crashes ?? 0) >= HOPELESS_CRASHES) return false;
      await Promise.race([next, options.clock.sleep(left)]);
    }
  }

  /** A process may say that it is ready and end a moment later. */
  async function staysReady(instance: KeptInstance): Promise<boolean> {
    const { settleMs = 0 } = options;
    if (settleMs === 0) return true;
    const { pid } = instance.view();
    await options.clock.sleep(settleMs);
    return instance.view().pid === pid && instance.view().state === "ready";
  }

  async function replace(old: KeptInstance, spec: InstanceSpec): Promise<void> {
    await old.stop(options.graceMs);
    const instance = keep(spec);
    if ((await untilReady(instance)) && (await staysReady(instance))) return;
    throw new HAError("STORE_UNAVAILABLE", `${spec.id} did not become ready after it was replaced`, {
      instance: spec.id,
      hint: `see \`openclaw-ha logs ${spec.id}\``,
    });
  }

  async function applyNow(
    specs: readonly InstanceSpec[],
    onReplace: (id: string) => void = () => {},
  ): Promise<void> {
    const wanted = new Map(specs.map((spec) => [spec.id, spec]));
    const missing = specs.filter((spec) => !kept.has(spec.id));
    const started = missing.map(keep);
    const surplus = [...new Set([...kept.keys(), ...(await options.records.ids())])].filter(
      (id) => !wanted.has(id),
    );
    await Promise.all(surplus.map((id) => stopOne(id, options.graceMs)));
    await Promise.all(started.map(firstStart));
    for (const spec of specs) {
      const instance = kept.get(spec.id);
      if (instance === undefined || instance.revision() === revisionOf(spec)) continue;
      onReplace(spec.id);
      await replace(instance, spec);
    }
  }

  /** Until it was started or adopted, or failed to: then its revision, or its trouble, is known. */
  async function firstStart(instance: KeptInstance): Promise<void> {
    for (;;) {
      const next = tellChange.promise;
      const { pid, state } = instance.view();
      if (pid !== null || state !== "starting") return;
      await next;
    }
  }

  return {
    apply: (specs, onReplace) => inTurn(() => applyNow(specs, onReplace)),
    async list() {
      return [...kept.values()].map((instance): InstanceView => instance.view());
    },
    stop: (id, graceMs) => stopOne(id, graceMs),
    troubles: () =>
      [...kept.values()].map((instance) => instance.trouble()).filter((trouble) => trouble !== null),
    async known() {
      return [...new Set([...kept.keys(), ...(await options.records.ids())])];
    },
    changed: () => tellChange.promise,
    async detach() {
      await Promise.all([...kept.values()].map((instance) => instance.detach()));
      kept.clear();
    },
  };
}
