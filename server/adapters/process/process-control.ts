import type { ProcessExit } from "./keep-alive.ts";

/** A signal, and how long to wait for its effect before the next one. */
export interface EndingStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

/** A process in the background, a child of ours or not. */
export interface BackgroundProcess {
  readonly pid: number;
  /** Tells it from a later process with the same pid. */
  readonly identity: string;
  readonly exited: Promise<ProcessExit>;
  /** The end of what this start has printed so far; empty for a process that was found running. */
  output(): string;
  /** Ends it step by step, SIGKILL last, and resolves when it is gone. Repeating it does nothing. */
  end(steps: readonly EndingStep[]): Promise<void>;
}

export interface LaunchSpec {
  readonly name: string;
  readonly command: string;
  /** Visible to everyone on the machine: never a secret. */
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly outliveParent: boolean;
  /** Gets pid and identity, written by the child before it becomes the program. */
  readonly noteFile: string;
}

/** What the provisioner needs of the operating system; server/adapters/local has it for Linux and macOS. */
export interface ProcessControl {
  /** In a session of its own, output to the log file. Resolves when it was started, not when it is ready. */
  start(spec: LaunchSpec): Promise<BackgroundProcess>;
  /** Watches a process that somebody else started. */
  adopt(pid: number, identity: string): BackgroundProcess;
  /** Null when no such process runs. */
  identify(pid: number): string | null;
  /** SIGKILL to what is left of a process group whose leader has ended. */
  killGroup(leader: number): void;
}

/** Exactly one process of this machine, now or formerly. */
export interface ProcessNote {
  readonly pid: number;
  readonly identity: string;
}

/** What is remembered of the process that runs an instance, so that a later supervisor can adopt it. */
export interface InstanceRecord extends ProcessNote {
  readonly id: string;
  /** Hash of what it was started with; another one means that it must be replaced. */
  readonly revision: string;
  readonly startedAt: string;
  /** Restarts of the instance since the deployment was started. */
  readonly restarts: number;
}

/** Keeps InstanceRecords over the life of a supervisor. */
export interface InstanceRecords {
  /** Ids with a record or a note. */
  ids(): Promise<string[]>;
  read(id: string): Promise<InstanceRecord | null>;
  write(record: InstanceRecord): Promise<void>;
  remove(id: string): Promise<void>;
  /** Where the child notes itself before anything else happens. */
  noteFile(id: string): string;
  /** What the child noted; null where there is nothing. */
  noted(id: string): Promise<ProcessNote | null>;
}
