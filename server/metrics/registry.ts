import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { type Metric, type MetricKey, METRICS } from "./catalog.ts";

type KeyOf<Type extends Metric["type"]> = {
  [Key in MetricKey]: (typeof METRICS)[Key]["type"] extends Type ? Key : never;
}[MetricKey];
type LabelsOf<Key extends MetricKey> = { readonly [Label in keyof (typeof METRICS)[Key]["labels"]]: string };

/** What one process tells of itself; each process has a registry of its own, and only what the catalog names is in it. */
export interface MetricsRegistry {
  /** Adds to a counter; default 1. */
  count<Key extends KeyOf<"counter">>(key: Key, labels: LabelsOf<Key>, by?: number): void;
  /** One observation of a histogram, in its unit. */
  observe<Key extends KeyOf<"histogram">>(key: Key, labels: LabelsOf<Key>, value: number): void;
  /** A gauge that is read when somebody asks. */
  gauge(key: KeyOf<"gauge">, read: () => number): void;
  /** A counter whose sum is kept elsewhere, read when somebody asks. */
  sums<Key extends KeyOf<"counter">>(
    key: Key,
    read: () => readonly (readonly [labels: LabelsOf<Key>, sum: number])[],
  ): void;
  /** Prometheus text exposition. */
  text(): Promise<string>;
}

/** @param instance name of the process over its lives. `process`: with Node's own numbers, CPU, memory, event loop. */
export function metricsRegistry(
  instance: string,
  options: { readonly process?: boolean } = {},
): MetricsRegistry {
  const registry = new Registry();
  registry.setDefaultLabels({ instance });
  if (options.process === true) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const made = new Map<MetricKey, Counter | Histogram>();

  // Made at their first use: a worker does not tell of sockets.
  const counterOf = (key: KeyOf<"counter">): Counter => {
    const known = made.get(key);
    if (known) return known as Counter;
    const { name, help, labels } = METRICS[key];
    const counter = new Counter({ name, help, labelNames: Object.keys(labels), registers });
    made.set(key, counter);
    return counter;
  };
  const histogramOf = (key: KeyOf<"histogram">): Histogram => {
    const known = made.get(key);
    if (known) return known as Histogram;
    const { name, help, labels, buckets } = METRICS[key];
    const labelNames = Object.keys(labels);
    const histogram = new Histogram({ name, help, labelNames, buckets: [...buckets], registers });
    made.set(key, histogram);
    return histogram;
  };

  return {
    count: (key, labels, by = 1) => counterOf(key).inc(labels, by),
    observe: (key, labels, value) => histogramOf(key).observe(labels, value),
    gauge(key, read) {
      const { name, help } = METRICS[key];
      registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(read());
          },
        }),
      );
    },
    sums(key, read) {
      const { name, help, labels } = METRICS[key];
      registry.registerMetric(
        new Counter({
          name,
          help,
          labelNames: Object.keys(labels),
          registers: [],
          collect() {
            this.reset();
            for (const [of, sum] of read()) this.inc(of, sum);
          },
        }),
      );
    },
    text: () => registry.metrics(),
  };
}
