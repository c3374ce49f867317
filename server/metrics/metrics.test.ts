import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memoryPool } from "../testing/memory-pool.ts";
import { until } from "../testing/until.ts";
import { catalogTable, type Metric, METRICS } from "./catalog.ts";
import { metricsRegistry } from "./registry.ts";
import { timedPort } from "./timed-port.ts";

const metrics: readonly Metric[] = Object.values(METRICS);
/** A Markdown table however its columns are padded. */
const cells = (table: string): string[] =>
  table
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.replace(/\s*\|\s*/g, "|").replace(/-{3,}/g, "---"));

describe("the catalog of metrics", () => {
  it("is the table of the README", () => {
    const readme = readFileSync(new URL("./README.md", import.meta.url), "utf8");
    expect(cells(readme)).toEqual(cells(catalogTable()));
  });

  it.each(metrics.map((metric) => [metric.name, metric] as const))(
    "%s is named as Prometheus asks",
    (name, metric) => {
      expect(name).toMatch(/^openclaw_ha_[a-z]+(_[a-z]+)*$/);
      expect(name.endsWith("_total")).toBe(metric.type === "counter");
      expect(metric.type !== "histogram" || /_(seconds|bytes|requests)$/.test(name)).toBe(true);
      expect(metric.buckets !== undefined).toBe(metric.type === "histogram");
      expect(metric.help).toMatch(/^[A-Z0-9].*\.$/);
    },
  );

  it("has no label that grows with tenants, sessions or runs", () => {
    const labels = metrics.flatMap((metric) => Object.keys(metric.labels));
    expect(new Set(labels)).toEqual(
      new Set([
        "change",
        "method",
        "outcome",
        "reason",
        "delivery",
        "lane",
        "status",
        "direction",
        "answer",
        "store",
        "operation",
      ]),
    );
  });
});

describe("a registry", () => {
  it("tells what was counted, with the instance's name", async () => {
    const registry = metricsRegistry("gateway-7");
    registry.count("gatewayRequests", { method: "chat.send", outcome: "ok" });
    registry.gauge("gatewayConnections", () => 3);
    registry.observe("runQueue", { lane: "main" }, 0.2);
    const text = await registry.text();
    expect(text).toContain(
      'openclaw_ha_gateway_requests_total{method="chat.send",outcome="ok",instance="gateway-7"} 1',
    );
    expect(text).toContain('openclaw_ha_gateway_connections{instance="gateway-7"} 3');
    expect(text).toMatch(/openclaw_ha_run_queue_seconds_bucket\{le="0.25",[^}]*lane="main"[^}]*\} 1/);
    expect(await registry.text()).toBe(text);
  });

  it("measures the calls to a store, how many requests shared one, and failures", async () => {
    const registry = metricsRegistry("worker-1");
    class Ledger {
      readonly #rows = [1, 2];
      accept(batch: readonly number[]): Promise<number> {
        return Promise.resolve(batch.length + this.#rows.length);
      }
      finish(_batch: readonly number[]): Promise<void> {
        return Promise.reject(new Error("away"));
      }
      take(): Promise<void> {
        return Promise.resolve();
      }
    }
    const ledger = timedPort(new Ledger(), "ledger", "postgres", registry);
    expect(await ledger.accept([1, 2, 3])).toBe(5);
    await expect(ledger.finish([1])).rejects.toThrow("away");
    await ledger.take();
    const text = await registry.text();
    expect(text).toMatch(/store_seconds_count\{[^}]*operation="ledger.accept"[^}]*\} 1/);
    expect(text).toMatch(/store_errors_total\{store="postgres",operation="ledger.finish",[^}]*\} 1/);
    expect(text).toMatch(/ledger_batch_requests_bucket\{le="4",[^}]*operation="accept"[^}]*\} 1/);
    expect(text).not.toContain("ledger.take");
  });

  it("tells of a worker's runs", async () => {
    const registry = metricsRegistry("worker-1");
    const pool = await memoryPool();
    await pool.worker({ registry });
    await pool.ended(await pool.send("hello", "run-1"));
    const text = await until(async () => {
      const told = await registry.text();
      return /runs_ended_total\{status="succeeded",[^}]*\} 1/.test(told) ? told : null;
    });
    expect(text).toMatch(/run_queue_seconds_count\{[^}]*lane="main"[^}]*\} 1/);
    expect(text).toMatch(/run_seconds_count\{[^}]*lane="main"[^}]*\} 1/);
    expect(text).toMatch(/worker_claims_total\{answer="granted",[^}]*\} 1/);
    expect(text).toContain('openclaw_ha_worker_slots{instance="worker-1"} 8');
    const told = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const known = new Set(metrics.map(({ name }) => name));
    expect([...told].filter((name) => !known.has(name!))).toEqual([]);
  });
});
