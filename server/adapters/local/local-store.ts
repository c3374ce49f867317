import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { HAError } from "../../core/errors.ts";
import { processOf, startProcess, untilReady } from "./child-process.ts";
import type { BackgroundProcess, ProcessExit, ProcessSpec } from "./child-process.ts";
import { endProcess, isRunning } from "./process-table.ts";
import type { EndingStep } from "./process-table.ts";
import { requireFreePort } from "./store-folder.ts";

/** A store that runs as a process of this machine and listens on 127.0.0.1 only. */
export interface LocalStore {
  /** Where clients connect, credentials included: never log it. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Tells this process from a later one with the same pid (process-table.ts). */
  readonly identity: string;
  /** Resolves once the process is gone, whoever ended it. The code is unknown for a process found running. */
  readonly exited: Promise<ProcessExit>;
  /** Orderly first, then by force; resolves when it has ended. Repeating it does nothing. */
  stop(): Promise<void>;
}

/** What every local store is started from. Starting again with the same options finds the same data and address. */
export interface LocalStoreOptions {
  /** Belongs to this store alone: configuration, password, data and log lie in it. Created with mode 0700. */
  readonly dir: string;
  /** TCP port of 127.0.0.1 (free-port.ts finds one). */
  readonly port: number;
  /** Gets what the process prints; default `<dir>/log`. */
  readonly logFile?: string;
  /**
   * True (default): the store goes on when this process ends, as a supervisor's must. False: it is killed when this
   * process exits by itself; a SIGKILL of this process still leaves it behind.
   */
  readonly outliveParent?: boolean;
  /** How long the store may take until it answers, milliseconds. */
  readonly startTimeoutMs?: number;
}

/** A process that serves a folder, as the folder's own files tell. */
export interface FoundProcess {
  readonly pid: number;
  readonly identity: string;
  /** Null where the files do not say it. */
  readonly port: number | null;
}

/** What `runStore` needs to know of one kind of store. */
export interface StoreKind {
  readonly name: string;
  readonly spec: Pick<ProcessSpec, "command" | "args" | "env" | "cwd" | "uid" | "gid">;
  readonly url: string;
  /** True when the store answers and is the one that was meant: it takes the credentials of this folder. */
  ask(): Promise<boolean>;
  /** A better error than "it printed …", where the output allows one. */
  explain(output: string): HAError | null;
  readonly ending: readonly EndingStep[];
  readonly startTimeoutMs: number;
  /** For programs that keep a pid file themselves; for the others the child writes `<dir>/process.json`. */
  find?(): Promise<FoundProcess | null>;
  /** Clears the way once it is certain that nothing serves the folder. */
  beforeStart?(): Promise<void>;
}

/** Longest a store found running may take to answer before it counts as hung and is started anew. */
const ADOPT_TIMEOUT_MS = 5_000;
const ADOPT_POLL_MS = 50;

/**
 * Makes the store of a folder run and resolves when it answers. One that runs already, left by a supervisor that
 * died, is adopted; one that hangs or sits on another port is ended first. So a caller that was killed anywhere in
 * here simply starts again. One caller at a time for one folder: who supervises a deployment holds its lock.
 * @throws HAError CONFIG_INVALID when the port is taken, STORE_UNAVAILABLE when the store does not come up
 */
export async function runStore(kind: StoreKind, options: LocalStoreOptions): Promise<LocalStore> {
  const adopted = await adopt(kind, options);
  if (adopted !== null) return asStore(kind, options, adopted);
  await kind.beforeStart?.();
  await requireFreePort(kind.name, options.port);
  const started = await startProcess({
    ...kind.spec,
    name: kind.name,
    logFile: options.logFile ?? join(options.dir, "log"),
    outliveParent: options.outliveParent ?? true,
    note: kind.find === undefined ? { file: recordPath(options.dir), port: options.port } : undefined,
  });
  const explain = (output: string): HAError | null => kind.explain(output);
  await untilReady(
    kind.name,
    started,
    () => kind.ask(),
    options.startTimeoutMs ?? kind.startTimeoutMs,
    explain,
  );
  return asStore(kind, options, started);
}

/** The process of a folder, started by whomever; null when none runs. For `down` and `status`, which hold no LocalStore. */
export async function findStore(dir: string): Promise<FoundProcess | null> {
  const record = await readRecord(dir);
  return record !== null && isRunning(record.pid, record.identity) ? record : null;
}

/** Ends the process of a folder whoever started it; false when none runs. */
export async function endStore(dir: string): Promise<boolean> {
  const found = await findStore(dir);
  if (found === null) return false;
  await endProcess(found.pid, found.identity, STORE_ENDING);
  await rm(recordPath(dir), { force: true });
  return true;
}

/** Right for every store without data of its own to flush. */
export const STORE_ENDING: readonly EndingStep[] = [{ signal: "SIGTERM", waitMs: 5_000 }];

function asStore(kind: StoreKind, options: LocalStoreOptions, running: BackgroundProcess): LocalStore {
  return {
    url: kind.url,
    port: options.port,
    pid: running.pid,
    identity: running.identity,
    exited: running.exited,
    async stop() {
      await running.end(kind.ending);
      const record = await readRecord(options.dir);
      if (record?.pid === running.pid) await rm(recordPath(options.dir), { force: true });
    },
  };
}

async function adopt(kind: StoreKind, options: LocalStoreOptions): Promise<BackgroundProcess | null> {
  const found = await (kind.find?.() ?? findStore(options.dir));
  if (found === null) return null;
  const running = processOf(found.pid, found.identity);
  if ((found.port ?? options.port) === options.port && (await answers(kind, running))) return running;
  await running.end(kind.ending);
  return null;
}

async function answers(kind: StoreKind, running: BackgroundProcess): Promise<boolean> {
  const deadline = performance.now() + ADOPT_TIMEOUT_MS;
  while (performance.now() < deadline && isRunning(running.pid, running.identity)) {
    if (await kind.ask().catch(() => false)) return true;
    await sleep(ADOPT_POLL_MS);
  }
  return false;
}

const recordPath = (dir: string): string => join(dir, "process.json");

/** Null when there is none or it is torn. */
async function readRecord(dir: string): Promise<FoundProcess | null> {
  try {
    return JSON.parse(await readFile(recordPath(dir), "utf8")) as FoundProcess;
  } catch {
    return null;
  }
}
