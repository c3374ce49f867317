import { DEFAULT_SCALING } from "../../server/core/scaling.ts";
import { runId, sessionKey, tenantId, agentId, workerId } from "../../server/core/ids.ts";
import type { ActivityView, DeploymentView, ScalingView } from "../../server/supervisor/view.ts";

/** When the deployment of `exampleView` is looked at. */
export const EXAMPLE_NOW = Date.UTC(2026, 10, 22, 12, 0, 10);

/** Sizes of the pools as `status` tells them. */
export const exampleScaling: ScalingView = {
  auto: true,
  pools: {
    gateway: { ...DEFAULT_SCALING, current: 1, desired: 1 },
    worker: { ...DEFAULT_SCALING, auto: true, current: 2, desired: 4 },
  },
  decisions: [
    {
      pool: "worker",
      from: 2,
      to: 4,
      reason: "9 sessions running and 3 waiting, for 4 slots a worker",
      by: "control-1.0badcafe",
      at: "2026-11-22T12:00:07.000Z",
    },
  ],
};

/** Work under way: of two tenants, a run on its second try, and one that failed. */
export const exampleActivity: ActivityView = {
  loads: [
    {
      instance: "gateway-1",
      pool: "gateway",
      cpu: 0.12,
      loop: 0.03,
      rssBytes: 150 * 2 ** 20,
      busy: 0,
      slots: 0,
      connections: 41,
    },
  ],
  lanes: [
    { tenant: "acme", pool: "shared", lane: "main", ready: 2, running: 0, oldestReadyMs: 1_500 },
    { tenant: "other", pool: "shared", lane: "cron", ready: 0, running: 1, oldestReadyMs: null },
  ],
  running: [
    {
      tenant: tenantId("acme"),
      runId: runId("run-1"),
      sessionKey: sessionKey("agent:main:notes"),
      agentId: agentId("main"),
      lane: "main",
      attempt: 2,
      worker: workerId("worker-1.0badcafe"),
      startedAt: "2026-11-22T12:00:02.000Z",
      steps: 3,
      tool: "look",
    },
  ],
  failures: [
    {
      tenant: tenantId("other"),
      runId: runId("run-0"),
      sessionKey: sessionKey("agent:main:main"),
      status: "failed",
      attempt: 1,
      error: { kind: "model_auth", message: "no key for demo/demo" },
      endedAt: "2026-11-22T11:59:10.000Z",
    },
  ],
};

/** A ready deployment with one gateway and one worker. */
export const exampleView = (change: Partial<DeploymentView> = {}): DeploymentView => ({
  name: "default",
  topology: "v2",
  phase: "ready",
  dataDir: "/data",
  gateway: {
    url: "ws://127.0.0.1:18789",
    httpUrl: "http://127.0.0.1:18789",
    controlUiUrl: "http://127.0.0.1:18789/",
  },
  supervisor: { pid: 1 },
  instances: [
    {
      id: "gateway-1",
      pool: "gateway",
      pid: 2,
      url: "ws://127.0.0.1:20001",
      state: "ready",
      startedAt: "2026-11-22T12:00:00.000Z",
      restarts: 0,
    },
    { id: "worker-1", pool: "worker", pid: null, url: null, state: "crashed", startedAt: null, restarts: 3 },
  ],
  stores: {
    postgres: { mode: "embedded", healthy: true, pid: 3, latencyMs: 0.4 },
    redis: { mode: "external", healthy: false },
  },
  demoModel: null,
  tenants: [{ id: "default", pool: "shared" }],
  queue: { ready: 2, running: 1, oldestReadyMs: 1_500 },
  ...change,
});
