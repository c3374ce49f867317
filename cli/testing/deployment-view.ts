import { DEFAULT_SCALING } from "../../server/core/scaling.ts";
import type { DeploymentView, ScalingView } from "../../server/supervisor/view.ts";

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
    postgres: { mode: "embedded", healthy: true, pid: 3 },
    redis: { mode: "external", healthy: false },
  },
  demoModel: null,
  tenants: [{ id: "default", pool: "shared" }],
  queue: { ready: 2, running: 1, oldestReadyMs: 1_500 },
  ...change,
});
