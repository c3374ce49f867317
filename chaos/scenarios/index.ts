import type { Scenario } from "../scenario.ts";
import { clockAhead } from "./clock-ahead.ts";
import { clockBehind } from "./clock-behind.ts";
import { connectionsReset } from "./connections-reset.ts";
import { controlKilled } from "./control-killed.ts";
import { controlPaused } from "./control-paused.ts";
import { cronLeaderKilled } from "./cron-leader-killed.ts";
import { diskFull } from "./disk-full.ts";
import { gatewayDeaf } from "./gateway-deaf.ts";
import { gatewayKilled } from "./gateway-killed.ts";
import { gatewayPaused } from "./gateway-paused.ts";
import { gatewayTerminated } from "./gateway-terminated.ts";
import { gatewayUnreachable } from "./gateway-unreachable.ts";
import { gatewaysAllKilled } from "./gateways-all-killed.ts";
import { halfOpen } from "./half-open.ts";
import { mayhem } from "./mayhem.ts";
import { modelDisconnects } from "./model-disconnects.ts";
import { modelErrors } from "./model-errors.ts";
import { modelStalls } from "./model-stalls.ts";
import { natsKilled } from "./nats-killed.ts";
import { natsPaused } from "./nats-paused.ts";
import { postgresDeaf } from "./postgres-deaf.ts";
import { postgresKilled } from "./postgres-killed.ts";
import { postgresPaused } from "./postgres-paused.ts";
import { postgresTerminated } from "./postgres-terminated.ts";
import { postgresUnreachable } from "./postgres-unreachable.ts";
import { quarrelsomeClients } from "./quarrelsome-clients.ts";
import { reconnectStorm } from "./reconnect-storm.ts";
import { redisFlushed } from "./redis-flushed.ts";
import { redisKilled } from "./redis-killed.ts";
import { redisPaused } from "./redis-paused.ts";
import { redisTerminated } from "./redis-terminated.ts";
import { redisUnreachable } from "./redis-unreachable.ts";
import { rollingRestartGateways } from "./rolling-restart-gateways.ts";
import { rollingRestartWorkers } from "./rolling-restart-workers.ts";
import { s3Killed } from "./s3-killed.ts";
import { s3Paused } from "./s3-paused.ts";
import { slowNetwork } from "./slow-network.ts";
import { steeredWorkerKilled } from "./steered-worker-killed.ts";
import { subagentWorkersKilled } from "./subagent-workers-killed.ts";
import { supervisorKilled } from "./supervisor-killed.ts";
import { supervisorPaused } from "./supervisor-paused.ts";
import { supervisorTerminated } from "./supervisor-terminated.ts";
import { thinNetwork } from "./thin-network.ts";
import { workerHiccup } from "./worker-hiccup.ts";
import { workerKilled } from "./worker-killed.ts";
import { workerOutOfMemory } from "./worker-out-of-memory.ts";
import { workerPaused } from "./worker-paused.ts";
import { workerStarved } from "./worker-starved.ts";
import { workerTerminated } from "./worker-terminated.ts";
import { workersAllKilled } from "./workers-all-killed.ts";

/** Every scenario, in the order in which \`chaos list\` tells them: processes, stores, network, resources, model, operations. */
export const SCENARIOS: readonly Scenario[] = [
  workerKilled,
  workerTerminated,
  workerHiccup,
  workerPaused,
  workersAllKilled,
  steeredWorkerKilled,
  subagentWorkersKilled,
  gatewayKilled,
  gatewayTerminated,
  gatewayPaused,
  gatewaysAllKilled,
  controlKilled,
  controlPaused,
  cronLeaderKilled,
  supervisorKilled,
  supervisorTerminated,
  supervisorPaused,
  postgresKilled,
  postgresTerminated,
  postgresPaused,
  redisKilled,
  redisTerminated,
  redisPaused,
  redisFlushed,
  natsKilled,
  natsPaused,
  s3Killed,
  s3Paused,
  slowNetwork,
  thinNetwork,
  postgresUnreachable,
  postgresDeaf,
  redisUnreachable,
  gatewayUnreachable,
  gatewayDeaf,
  connectionsReset,
  halfOpen,
  diskFull,
  clockAhead,
  clockBehind,
  workerStarved,
  workerOutOfMemory,
  modelErrors,
  modelDisconnects,
  modelStalls,
  rollingRestartWorkers,
  rollingRestartGateways,
  reconnectStorm,
  quarrelsomeClients,
  mayhem,
];

export const findScenario = (name: string): Scenario | undefined =>
  SCENARIOS.find((scenario) => scenario.name === name);
