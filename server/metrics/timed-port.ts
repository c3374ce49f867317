import type { MetricsRegistry } from "./registry.ts";

/** Methods that wait on purpose, or are not calls to a store. */
const NOT_TIMED = new Set(["take", "subscribe", "close", "healthy", "warmUp", "on", "onReady"]);
const BATCHED = new Set(["accept", "claim", "checkpoint", "finish"]);

/**
 * The port, with every call measured under `PORT.METHOD`: its time, whether it failed, and how many requests shared it
 * where it is one of the ledger's batches.
 */
export function timedPort<Port extends object>(
  port: Port,
  name: string,
  store: "postgres" | "redis" | "nats" | "objects",
  metrics: MetricsRegistry,
): Port {
  const timed = new Map<PropertyKey, unknown>();

  const wrap = (method: string, call: (...args: unknown[]) => unknown): unknown => {
    const labels = { store, operation: `${name}.${method}` };
    const batched = name === "ledger" && BATCHED.has(method);
    const ended = (begun: number): void =>
      metrics.observe("storeSeconds", labels, (performance.now() - begun) / 1_000);
    return (...args: unknown[]): unknown => {
      const begun = performance.now();
      const answer = call.apply(port, args);
      if (!(answer instanceof Promise)) return answer;
      if (batched) metrics.observe("ledgerBatch", { operation: method }, sizeOf(args));
      answer.then(
        () => ended(begun),
        () => {
          ended(begun);
          metrics.count("storeErrors", labels);
        },
      );
      return answer;
    };
  };

  return new Proxy(port, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function" || typeof key !== "string" || NOT_TIMED.has(key)) return value;
      if (!timed.has(key)) timed.set(key, wrap(key, value as (...args: unknown[]) => unknown));
      return timed.get(key);
    },
  });
}

/** The batch is the first argument, or the second of a claim, behind the worker. */
const sizeOf = (args: readonly unknown[]): number => {
  const batch = args.find(Array.isArray) as readonly unknown[] | undefined;
  return batch?.length ?? 1;
};
