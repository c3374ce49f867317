import type { MetricsRegistry } from "../metrics/registry.ts";
import type { Delivery } from "./outbox.ts";

/** Outcome of a request, as `/metrics` counts it. */
export type Outcome = "ok" | "invalid" | "forbidden" | "unavailable";

/** What one gateway counts. */
export interface GatewayMetrics {
  request(method: string, outcome: Outcome): void;
  /** From a send's frame to its acknowledgement, in milliseconds. */
  acknowledged(ms: number): void;
  /** A message that was refused by a limit of its tenant. */
  limited(reason: string): void;
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

export function gatewayMetrics(registry: MetricsRegistry, gauges: GatewayGauges): GatewayMetrics {
  registry.gauge("gatewayConnections", gauges.connections);
  registry.gauge("gatewayRunViews", gauges.runViews);
  registry.gauge("gatewayWaitingBytes", gauges.waitingBytes);
  registry.gauge("gatewayDraining", () => (gauges.draining() ? 1 : 0));
  // One increment per label set and event would cost a hash each: events are only summed up here.
  const sent = { sent: 0, dropped: 0, closed: 0, postponed: 0 };
  registry.sums("gatewayEvents", () =>
    Object.entries(sent).map(([delivery, events]) => [{ delivery }, events] as const),
  );
  return {
    request: (method, outcome) => registry.count("gatewayRequests", { method, outcome }),
    acknowledged: (ms) => registry.observe("gatewayAck", {}, ms / 1_000),
    limited: (reason) => registry.count("gatewayLimited", { reason }),
    event: (delivery) => void sent[delivery]++,
    connection: (change) => registry.count("gatewayConnectionChanges", { change }),
    text: () => registry.text(),
  };
}
