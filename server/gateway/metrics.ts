import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Delivery } from "./outbox.ts";

/** Outcome of a request, as `/metrics` counts it. */
export type Outcome = "ok" | "invalid" | "forbidden" | "unavailable";

/** What one gateway counts. Each gateway has a registry of its own. */
export interface GatewayMetrics {
  request(method: string, outcome: Outcome): void;
  /** From a send's frame to its acknowledgement, in milliseconds. */
  acknowledged(ms: number): void;
  /** `postponed`: text that a slow connection is told later, with what follows it. */
  event(delivery: Delivery | "postponed"): void;
  connection(change: "opened" | "closed" | "refused"): void;
  /** Prometheus text exposition. */
  text(): Promise<string>;
}

/** Numbers that are read when somebody asks for them. */
export interface GatewayGauges {
  readonly connections: () => number;
  readonly runViews: () => number;
  readonly waitingBytes: () => number;
  readonly draining: () => boolean;
}

const PREFIX = "openclaw_ha_gateway_";

export function gatewayMetrics(instance: string, gauges: GatewayGauges): GatewayMetrics {
  const registers = [new Registry()];
  registers[0]?.setDefaultLabels({ instance });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers });
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name: PREFIX + name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });

  gauge("connections", "Connected WebSocket clients.", gauges.connections);
  gauge("run_views", "Runs that this gateway follows for its clients.", gauges.runViews);
  gauge("waiting_bytes", "Output that clients have not taken yet, over all of them.", gauges.waitingBytes);
  gauge("draining", "1 while the gateway takes no new work.", () => (gauges.draining() ? 1 : 0));
  gauge("resident_memory_bytes", "Resident set size of the process.", () => process.memoryUsage.rss());
  const requests = counter("requests_total", "Requests answered.", ["method", "outcome"]);
  const events = counter("events_total", "Events for clients.", ["delivery"]);
  const connections = counter("connections_total", "WebSocket connections.", ["change"]);
  const acknowledgement = new Histogram({
    name: `${PREFIX}ack_seconds`,
    help: "Time from a send to its acknowledgement.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  // One increment per label set and event would cost a hash each; children are looked up once.
  const sent = { sent: 0, dropped: 0, closed: 0, postponed: 0 };
  return {
    request: (method, outcome) => requests.inc({ method, outcome }),
    acknowledged: (ms) => acknowledgement.observe(ms / 1_000),
    event: (delivery) => void sent[delivery]++,
    connection: (change) => connections.inc({ change }),
    text: async () => {
      for (const delivery of ["sent", "dropped", "closed", "postponed"] as const) {
        events.inc({ delivery }, sent[delivery]);
        sent[delivery] = 0;
      }
      return (registers[0] as Registry).metrics();
    },
  };
}
