/**
 * What a load run does, complete and with nothing left to decide: made by loadtest/plan.ts, read by the k6 scripts.
 * It carries tokens: its file is readable by its owner only, and gone with the run.
 */
export interface Plan {
  readonly profile: string;
  /** Part of every session key and run key, so that no two runs of the program meet in one session. */
  readonly seed: string;
  readonly tenants: readonly PlannedTenant[];
  readonly groups: readonly Group[];
  /** From the connecting of the first client to the first message, in which clients come in one after the other. */
  readonly connectSeconds: number;
  /** How long the runs under way at the end may take to end. */
  readonly drainSeconds: number;
  /** A run without an end by then has failed. */
  readonly runTimeoutMs: number;
  /** Gateways' HTTP probes, every second; null where there is no such address. */
  readonly probeUrl: string | null;
  readonly summaryFile: string;
  /** Scenarios and thresholds, as k6 wants them. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface PlannedTenant {
  readonly id: string;
  readonly url: string;
  readonly token: string;
}

/** A stretch of time in which the rate goes from one value to another on a straight line. */
export interface Stage {
  /** Tag of everything that is sent in it. */
  readonly phase: string;
  readonly seconds: number;
  /** Messages per second of the whole group: at its beginning, at its end. */
  readonly from: number;
  readonly to: number;
}

/** Clients that behave alike. Each is one connection, several to a k6 VU, since a VU costs megabytes. */
export interface Group {
  /** Also the tenant class that metrics are tagged with. */
  readonly name: string;
  /** Which of the plan's tenants, by index; clients are dealt out over them. */
  readonly tenants: readonly number[];
  readonly clients: number;
  readonly clientsPerVu: number;
  readonly stages: readonly Stage[];
  readonly message: MessageShape;
  /** Shares of the messages, 0 to 1. */
  readonly mix: { readonly history: number; readonly abort: number };
  /** Every so often the clients' connections break; null: never. */
  readonly reconnect: { readonly everySeconds: number; readonly together: boolean } | null;
}

/** What a message asks of the demo model, so that the time of a run is known beforehand. */
export interface MessageShape {
  /** Before the first piece. */
  readonly latencyMs: number;
  readonly chunks: number;
  /** Between two pieces. */
  readonly delayMs: number;
  /** Filling of the message, which the answer repeats. */
  readonly paddingBytes: number;
}

/** The least that the model takes for such a message. */
export const modelMs = ({ latencyMs, chunks, delayMs }: MessageShape): number =>
  latencyMs + Math.max(0, chunks - 1) * delayMs;
