import { createHash } from "node:crypto";
import type { Clock } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";
import type { InstanceSpec, InstanceState, InstanceView } from "../../ports/provisioner.ts";
import { keepAlive } from "./keep-alive.ts";
import type { ProcessExit } from "./keep-alive.ts";
import type { BackgroundProcess, InstanceRecords, ProcessControl, ProcessNote } from "./process-control.ts";
import type { ProbeAnswer } from "./ready-probe.ts";

/** Everything that instances of one deployment have in common. */
export interface InstanceDeps {
  readonly processes: ProcessControl;
  readonly records: InstanceRecords;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The program of a checkout and its own arguments; an instance's follow. Null: the one that this process runs from. */
  programOf(root: string | null): { readonly command: string; readonly args: readonly string[] };
  /** Environment below that of each instance: PATH, HOME, proxies. */
  readonly baseEnv: Readonly<Record<string, string>>;
  logFile(id: string): string;
  /** Called before each start: rotates the log. */
  beforeStart(spec: InstanceSpec): Promise<void>;
  probe(url: string, timeoutMs: number): Promise<ProbeAnswer>;
  /** Called after every change of a view. */
  onChange(): void;
}

/** Why an instance is not up, for whoever waits for it. */
export interface InstanceTrouble {
  readonly id: string;
  /** Crashes in a row. */
  readonly crashes: number;
  readonly exit: ProcessExit | null;
  readonly error: unknown;
  /** The end of what it printed. */
  readonly output: string;
}

/** One instance under supervision. */
export interface KeptInstance {
  readonly spec: InstanceSpec;
  /** Hash of what the running process was started with; null before its first start. */
  revision(): string | null;
  view(): InstanceView;
  /** Set between a crash and the next ready. */
  trouble(): InstanceTrouble | null;
  /** Drains and ends it; resolves when it is gone and its record with it. */
  stop(graceMs: number): Promise<void>;
  /** Stops watching; the process goes on and its record stays. */
  detach(): Promise<void>;
}

/** While not ready yet it is asked often, because people wait for it; then once a second. */
const PROBE_STARTING_MS = 50;
const PROBE_READY_MS = 1_000;
const PROBE_TIMEOUT_MS = 2_000;
/** A busy machine may leave one question unanswered; so many in a row are an instance that hangs. */
const SILENT_PROBES = 3;
/** A process that nobody supervised since its first moments has hardly anything to drain. */
const UNRECORDED_GRACE_MS = 2_000;

/** Order of keys does not count. A program that no upgrade has brought is not told apart from any other. */
export function revisionOf(spec: InstanceSpec): string {
  const env = Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1));
  const { program } = spec;
  const upgraded = program === undefined || program.revision === "" ? [] : [program.root, program.revision];
  const what = JSON.stringify([spec.args, env, spec.url ?? null, ...upgraded]);
  return createHash("sha256").update(what).digest("hex").slice(0, 16);
}

/**
 * Keeps one instance running: adopts the process that its record names, or starts one, and starts it again whenever
 * it ends.
 *
 * Killed between the start and the record: the child noted itself, so the next supervisor finds and ends it,
 * since nobody knows what it was started with, and starts a fresh one. Killed after the record: adopted.
 */
export function keepInstance(spec: InstanceSpec, deps: InstanceDeps): KeptInstance {
  const { clock, logger, processes, records } = deps;
  const keeping = new AbortController();
  let state: InstanceState = "starting";
  let running: BackgroundProcess | null = null;
  let revision: string | null = null;
  let startedAt: string | null = null;
  let restarts = 0;
  let trouble: InstanceTrouble | null = null;
  let fresh = false;

  const to = (next: InstanceState): void => {
    if (state === next) return;
    state = next;
    deps.onChange();
  };

  async function start(): Promise<BackgroundProcess> {
    if (!fresh) {
      const adopted = await adopt();
      fresh = true;
      if (adopted !== null) return adopted;
    }
    await deps.beforeStart(spec);
    const program = deps.programOf(spec.program?.root ?? null);
    const started = await processes.start({
      name: spec.id,
      command: program.command,
      args: [...program.args, ...spec.args],
      env: { ...deps.baseEnv, ...spec.env },
      logFile: deps.logFile(spec.id),
      outliveParent: true,
      noteFile: records.noteFile(spec.id),
    });
    running = started;
    revision = revisionOf(spec);
    startedAt = new Date(clock.now()).toISOString();
    await record();
    return started;
  }

  async function adopt(): Promise<BackgroundProcess | null> {
    const known = await records.read(spec.id);
    restarts = known?.restarts ?? 0;
    if (known !== null && runs(known)) {
      revision = known.revision;
      startedAt = known.startedAt;
      running = processes.adopt(known.pid, known.identity);
      return running;
    }
    // Its starter died before it could write the record, so nobody knows what it was started with.
    const noted = await records.noted(spec.id);
    if (noted !== null && runs(noted)) {
      logger.warn("instance.unrecorded", { id: spec.id, pid: noted.pid });
      await processes
        .adopt(noted.pid, noted.identity)
        .end([{ signal: "SIGTERM", waitMs: UNRECORDED_GRACE_MS }]);
    }
    return null;
  }

  const runs = ({ pid, identity }: ProcessNote): boolean => processes.identify(pid) === identity;

  async function record(): Promise<void> {
    if (running === null || revision === null || startedAt === null) return;
    const { pid, identity } = running;
    await records.write({ id: spec.id, pid, identity, revision, startedAt, restarts });
  }

  const kept = keepAlive({
    clock,
    signal: keeping.signal,
    start,
    onStarted(started) {
      logger.info("instance.started", { id: spec.id, pid: started.pid });
      deps.onChange();
      void watchReadiness(started);
    },
    onEnded({ exit, error, crashes, delayMs }) {
      const output = running?.output() ?? "";
      const pid = running?.pid ?? null;
      if (pid !== null) processes.killGroup(pid);
      running = null;
      restarts += 1;
      trouble = { id: spec.id, crashes, exit, error, output };
      const cause = error instanceof Error ? error.message : undefined;
      logger.warn("instance.ended", { id: spec.id, pid, ...exit, crashes, delayMs, cause });
      to("crashed");
    },
  });

  /** Follows one process from its start to its end. */
  async function watchReadiness(started: BackgroundProcess): Promise<void> {
    const ended = new AbortController();
    void started.exited.then(() => ended.abort());
    const watched = AbortSignal.any([ended.signal, keeping.signal]);
    if (state === "crashed") to("starting");
    if (spec.readyUrl === undefined) {
      trouble = null;
      return to("ready");
    }
    let silent = 0;
    while (!watched.aborted) {
      const answer = await deps.probe(spec.readyUrl, PROBE_TIMEOUT_MS);
      if (watched.aborted) return;
      silent = answer === "silent" ? silent + 1 : 0;
      if (answer === "ready") {
        trouble = null;
        to("ready");
      } else if (state === "ready" && (answer === "unready" || silent >= SILENT_PROBES)) {
        to("starting");
      }
      await clock.sleep(state === "ready" ? PROBE_READY_MS : PROBE_STARTING_MS, watched);
    }
  }

  return {
    spec,
    revision: () => revision,
    view: () => ({
      id: spec.id,
      pool: spec.pool,
      pid: running?.pid ?? null,
      url: spec.url ?? null,
      state,
      startedAt: running === null ? null : startedAt,
      restarts,
    }),
    trouble: () => trouble,
    async stop(graceMs) {
      keeping.abort();
      to("draining");
      await kept;
      if (running !== null) {
        await running.end([{ signal: "SIGTERM", waitMs: graceMs }]);
        processes.killGroup(running.pid);
        running = null;
      }
      await records.remove(spec.id);
      logger.info("instance.stopped", { id: spec.id });
      to("stopped");
    },
    async detach() {
      keeping.abort();
      await kept;
    },
  };
}
