import { LANES } from "../core/lane.ts";

/** Values that a label can take: the values, or in words what bounds them. Never an id of a tenant, a session or a run. */
export type LabelValues = readonly string[] | string;

export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Processes that tell it. */
  readonly by: readonly ("gateway" | "worker" | "control")[];
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

const FAST = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
const SLOW = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800] as const;
const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;
const ENDED = ["succeeded", "failed", "timed_out", "aborted", "dead"] as const;
const ALL = ["gateway", "worker", "control"] as const;
const STORES = ["postgres", "redis", "nats", "objects"] as const;
const OPERATIONS = "`PORT.METHOD` of the port that was called, as in `server/ports`";

/**
 * Every number that the processes of a pool tell Prometheus, under `/metrics` of their port. README.md beside this file
 * shows the same as a table. All of them have the label `instance`, the name of the process over its lives.
 */
export const METRICS = {
  gatewayConnections: {
    name: "openclaw_ha_gateway_connections",
    type: "gauge",
    by: ["gateway"],
    help: "Connected WebSocket clients.",
    labels: {},
  },
  gatewayConnectionChanges: {
    name: "openclaw_ha_gateway_connections_total",
    type: "counter",
    by: ["gateway"],
    help: "WebSocket connections that were opened, closed or refused.",
    labels: { change: ["opened", "closed", "refused"] },
  },
  gatewayRunViews: {
    name: "openclaw_ha_gateway_run_views",
    type: "gauge",
    by: ["gateway"],
    help: "Runs that this gateway follows for its clients.",
    labels: {},
  },
  gatewayWaitingBytes: {
    name: "openclaw_ha_gateway_waiting_bytes",
    type: "gauge",
    by: ["gateway"],
    help: "Output that clients have not taken yet, over all of them.",
    labels: {},
  },
  gatewayDraining: {
    name: "openclaw_ha_gateway_draining",
    type: "gauge",
    by: ["gateway"],
    help: "1 while the gateway takes no new work.",
    labels: {},
  },
  gatewayRequests: {
    name: "openclaw_ha_gateway_requests_total",
    type: "counter",
    by: ["gateway"],
    help: "Requests answered, over WebSocket and HTTP.",
    labels: {
      method:
        "a method of `hello-ok.features`, `http PATH` of an interface, `connect`, `unknown` or `invalid`",
      outcome: ["ok", "invalid", "forbidden", "unavailable"],
    },
  },
  gatewayLimited: {
    name: "openclaw_ha_gateway_limited_total",
    type: "counter",
    by: ["gateway"],
    help: "Messages refused by a limit of their tenant.",
    labels: {
      reason: [
        "tenant-requests",
        "tenant-tokens",
        "tenant-concurrent-runs",
        "tenant-queued-runs",
        "tenant-sessions",
        "tenant-storage",
      ],
    },
  },
  gatewayAck: {
    name: "openclaw_ha_gateway_ack_seconds",
    type: "histogram",
    by: ["gateway"],
    help: "Time from a message to its acknowledgement, which follows the commit.",
    labels: {},
    buckets: FAST,
  },
  gatewayEvents: {
    name: "openclaw_ha_gateway_events_total",
    type: "counter",
    by: ["gateway"],
    help: "Events for clients; postponed is text that a slow client is told later, with what follows it.",
    labels: { delivery: ["sent", "dropped", "closed", "postponed"] },
  },
  workerSessions: {
    name: "openclaw_ha_worker_sessions",
    type: "gauge",
    by: ["worker"],
    help: "Sessions that the worker executes now.",
    labels: {},
  },
  workerSlots: {
    name: "openclaw_ha_worker_slots",
    type: "gauge",
    by: ["worker"],
    help: "Sessions that the worker can execute at once.",
    labels: {},
  },
  runQueue: {
    name: "openclaw_ha_run_queue_seconds",
    type: "histogram",
    by: ["worker"],
    help: "Time from a run's acceptance to its first grant, behind the earlier runs of its session and its lane.",
    labels: { lane: LANES },
    buckets: SLOW,
  },
  runDuration: {
    name: "openclaw_ha_run_seconds",
    type: "histogram",
    by: ["worker"],
    help: "Time from a grant of a run to its end in Postgres.",
    labels: { lane: LANES },
    buckets: SLOW,
  },
  runsEnded: {
    name: "openclaw_ha_runs_ended_total",
    type: "counter",
    by: ["worker"],
    help: "Runs ended by this worker.",
    labels: { status: ENDED },
  },
  modelTokens: {
    name: "openclaw_ha_model_tokens_total",
    type: "counter",
    by: ["worker"],
    help: "Tokens that ended runs have used.",
    labels: { direction: ["input", "output"] },
  },
  takeovers: {
    name: "openclaw_ha_worker_takeovers_total",
    type: "counter",
    by: ["worker"],
    help: "Grants of runs that another worker had begun.",
    labels: {},
  },
  claims: {
    name: "openclaw_ha_worker_claims_total",
    type: "counter",
    by: ["worker"],
    help: "Sessions that the worker asked for.",
    labels: { answer: ["granted", "busy", "empty"] },
  },
  fenced: {
    name: "openclaw_ha_worker_fenced_total",
    type: "counter",
    by: ["worker"],
    help: "Writes refused because a newer holder has the session.",
    labels: {},
  },
  leasesLost: {
    name: "openclaw_ha_worker_leases_lost_total",
    type: "counter",
    by: ["worker"],
    help: "Worker ids given up because the lease could not be confirmed in time, or was declared dead.",
    labels: {},
  },
  ledgerRetries: {
    name: "openclaw_ha_worker_ledger_retries_total",
    type: "counter",
    by: ["worker"],
    help: "Calls of the ledger repeated because Postgres was away.",
    labels: {},
  },
  published: {
    name: "openclaw_ha_worker_publishes_total",
    type: "counter",
    by: ["worker"],
    help: "Batches of events for the bus.",
    labels: { outcome: ["published", "failed", "fenced"] },
  },
  workersDead: {
    name: "openclaw_ha_control_workers_dead_total",
    type: "counter",
    by: ["control"],
    help: "Workers that this process declared dead.",
    labels: {},
  },
  runsBuried: {
    name: "openclaw_ha_control_runs_buried_total",
    type: "counter",
    by: ["control"],
    help: "Runs that this process ended as dead, because their workers died too often.",
    labels: {},
  },
  storeSeconds: {
    name: "openclaw_ha_store_seconds",
    type: "histogram",
    by: ALL,
    help: "Time of a call to a store, until its answer or its failure; a call may be a batch of requests.",
    labels: { store: STORES, operation: OPERATIONS },
    buckets: FAST,
  },
  storeErrors: {
    name: "openclaw_ha_store_errors_total",
    type: "counter",
    by: ALL,
    help: "Calls to a store that failed.",
    labels: { store: STORES, operation: OPERATIONS },
  },
  ledgerBatch: {
    name: "openclaw_ha_ledger_batch_requests",
    type: "histogram",
    by: ["gateway", "worker"],
    help: "Requests that shared one call of the ledger, and so one commit.",
    labels: { operation: ["accept", "claim", "checkpoint", "finish"] },
    buckets: BATCHES,
  },
} as const satisfies Record<string, Metric>;

export type MetricKey = keyof typeof METRICS;

/** The catalog as the table of README.md. */
export function catalogTable(): string {
  const rows = Object.values(METRICS)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, by, help, labels }) => {
      const shown = Object.entries<LabelValues>(labels).map(
        ([label, values]) => `\`${label}\`: ${typeof values === "string" ? values : values.join(", ")}`,
      );
      return `| \`${name}\` | ${type} | ${by.join(", ")} | ${shown.join("; ") || "-"} | ${help} |`;
    });
  return ["| metric | type | told by | labels | what |", "| --- | --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}
