import { describe, expect, it } from "vitest";
import { statusText } from "./status-text.ts";
import { EXAMPLE_NOW, exampleScaling, exampleView, exampleActivity } from "./testing/deployment-view.ts";

describe("status for people", () => {
  it("is a table of instances, stores, tenants and the queue", () => {
    expect(statusText(exampleView(), EXAMPLE_NOW)).toBe(`default (v2) is ready
gateway  ws://127.0.0.1:18789  http://127.0.0.1:18789
ui       http://127.0.0.1:18789/
data     /data

INSTANCE   STATE    PID  UP      RESTARTS  URL
gateway-1  ready    2    10.0 s  0         ws://127.0.0.1:20001
worker-1   crashed  -    -       3         -

STORE     MODE      STATE    PID  LATENCY
postgres  embedded  healthy  3    0.4 ms
redis     external  down     -    -

TENANT   POOL
default  shared

queue: 2 ready, 1 running, oldest for 1.5 s`);
  });

  it("tells the sizes of the pools, who decides them, and why they changed last", () => {
    const text = statusText(exampleView({ scaling: exampleScaling }), EXAMPLE_NOW);
    expect(text).toContain(`POOL     READY  WANTED  SIZED
gateway  1      1       by hand
worker   2      4       auto, 2 to 8
3.0 s ago: worker 2 → 4, 9 sessions running and 3 waiting, for 4 slots a worker
`);
    expect(statusText(exampleView({ scaling: exampleScaling, phase: "stopped" }), EXAMPLE_NOW)).not.toContain(
      "WANTED",
    );
  });

  it("marks tenants that are shut out", () => {
    const tenants = [{ id: "acme", pool: "shared", disabled: true } as const];
    expect(statusText(exampleView({ tenants }), EXAMPLE_NOW)).toContain("acme    shared (disabled)");
  });

  it("shows the first of many tenants, and how many more there are", () => {
    const tenants = Array.from({ length: 1_000 }, (_, n) => ({ id: `tenant-${n}`, pool: "shared" }));
    const text = statusText(exampleView({ tenants }), EXAMPLE_NOW);
    expect(text).toContain("tenant-19  shared\nand 980 more: openclaw-ha tenant list\n");
    expect(text).not.toContain("tenant-20");
  });

  it("says that nobody supervises what runs", () => {
    const view = exampleView({ phase: "degraded", supervisor: { pid: null } });
    expect(statusText(view, EXAMPLE_NOW)).toContain("no supervisor is running: `openclaw-ha up` starts one");
  });

  it("says why the last start failed, and shows no queue of what is stopped", () => {
    const failure = {
      code: "CONFIG_INVALID",
      message: "no luck",
      hint: "try again",
      at: "2026-11-22T12:00:00Z",
    };
    const text = statusText(exampleView({ phase: "stopped", failure }), EXAMPLE_NOW);
    expect(text).toContain("last start failed: no luck\nhint: try again\n");
    expect(text).not.toContain("queue:");
  });

  it("marks what PostgreSQL said earlier as old", () => {
    const queue = {
      ready: 0,
      running: 0,
      oldestReadyMs: 0,
      stale: true,
      observedAt: "2026-11-22T11:59:00Z",
    } as const;
    expect(statusText(exampleView({ queue }), EXAMPLE_NOW)).toContain(
      "queue: 0 ready, 0 running (as of 2026-11-22T11:59:00Z; PostgreSQL does not answer now)",
    );
  });

  it("tells what waits, what runs and what failed last, where there is any", () => {
    const text = statusText(exampleView({ activity: exampleActivity }), EXAMPLE_NOW);
    expect(text).toMatch(/^main +acme +2 +1\.5 s +0$/m);
    expect(text).toMatch(/^run-1 +acme +agent:main:notes +4 look +8\.0 s$/m);
    expect(text).toMatch(/^run-0 +other +agent:main:main +failed +1 m 0 s +model_auth: no key/m);
    const idle = { ...exampleActivity, lanes: [], running: [], failures: [] };
    expect(statusText(exampleView({ activity: idle }), EXAMPLE_NOW)).not.toContain("FAILED");
  });
});
