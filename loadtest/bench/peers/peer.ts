import type pg from "pg";

/** One piece of work: the n-th of its key. */
export interface KeyedJob {
  /** Names the job; given again, it must not make a second one. */
  readonly id: string;
  readonly key: string;
  /** Place within the key, from 1, in the order in which the producer was acknowledged. */
  readonly place: number;
  readonly text: string;
}

/** What a system promises for such work as it is set up here, in a few words each. */
export interface Guarantees {
  /** When a submission is acknowledged. */
  readonly acknowledged: string;
  /** How a key's jobs are kept in order and apart. */
  readonly perKey: string;
  /** What a repeated submission with the same id does. */
  readonly repeated: string;
  /** What happens when the process that executes a job dies, and when. */
  readonly workerDies: string;
  /** What keeps a worker that was paused or cut off from writing after somebody else has taken over. */
  readonly staleWorker: string;
  /** What a client hears of its job. */
  readonly told: string;
}

export interface PeerStores {
  readonly postgresUrl: string;
  readonly redisUrl: string;
}

/** What a system is given to do its work with. */
export interface Duties {
  /** Executes a job: resolves when its effect is durable. */
  work(job: KeyedJob): Promise<void>;
  /** For a system with work of its own: only looks at whether executions of a key overlap. */
  readonly during: <T>(key: string, work: () => Promise<T>) => Promise<T>;
  /** A client that waits for the job has been told, or could be. */
  readonly ended: (jobId: string) => void;
  /** Jobs at once, at most. */
  readonly concurrency: number;
}

export interface RunningPeer {
  /** Resolves when the system has acknowledged the job. */
  submit(job: KeyedJob): Promise<void>;
  /** Resolves when the store itself shows that nothing is left to do. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

/** A system that can do durable work, one job of a key at a time. */
export interface Peer {
  /** With its version. */
  readonly name: string;
  /** How it is set up, after which page of its documentation. */
  readonly setup: string;
  readonly guarantees: Guarantees;
  /** Jobs that give a stable figure in some seconds. */
  readonly jobs: number;
  start(stores: PeerStores, duties: Duties): Promise<RunningPeer>;
  /** Ids of the jobs whose effects are stored, in their order; where absent they are those of `Duties.work`. */
  readonly effects?: (pool: pg.Pool) => Promise<string[]>;
}
