import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryRateLimiter } from "../adapters/memory/rate-limiter.ts";
import { postgresPool } from "../adapters/postgres/pool.ts";
import { postgresRunLedger } from "../adapters/postgres/run-ledger.ts";
import { postgresSessionStore } from "../adapters/postgres/session-store.ts";
import { redisEventBus } from "../adapters/redis/event-bus.ts";
import { redisRunQueue } from "../adapters/redis/run-queue.ts";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { type Script, scriptedAgentRuntime } from "../adapters/scripted-agent/agent-runtime.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { jsonLogger } from "../adapters/system/logger.ts";
import { systemRandom } from "../adapters/system/random.ts";
import type { AgentTool } from "../ports/agent-runtime.ts";
import { threadKeeper } from "../worker/keep-lease-thread.ts";
import { startWorker } from "../worker/main.ts";
import { TEST_CATALOG } from "./test-catalog.ts";

/**
 * A worker in a process of its own, for tests that kill or stop it: real PostgreSQL and Redis, a scripted agent.
 * A message that says `hang` is answered by half a text and then, on its first attempt, never; one that says `tool` makes
 * the agent look first, which takes a moment.
 * Its stores are named by the environment: POSTGRES_URL, REDIS_URL, INSTANCE.
 */
const { POSTGRES_URL: url = "", REDIS_URL: redisUrl = "", INSTANCE: instance = "worker" } = process.env;
const base = { clock: systemClock, random: systemRandom, logger: jsonLogger({ level: "info" }) };
const never = gate();
const look: AgentTool = {
  name: "look",
  description: "Takes a moment.",
  parameters: { type: "object", properties: {} },
  idempotent: true,
  execute: () => systemClock.sleep(300).then(() => ({ text: "nothing new" })),
};
const script: Script = (turn, callsAnswered) => {
  const asked = JSON.stringify(turn.messages[turn.ownFrom - 1]?.content);
  if (callsAnswered === 0 && asked.includes("tool")) return [{ call: "look" }];
  const hangs = turn.attempt === 1 && asked.includes("hang");
  return [{ say: `half of ${turn.runId}` }, ...(hangs ? [{ gate: never }] : []), { say: ", and the rest" }];
};
const pool = postgresPool({ url, applicationName: instance });
const queue = redisRunQueue({ ...base, url: redisUrl, laneWidths: TEST_CATALOG.laneWidths });
const bus = redisEventBus({ ...base, url: redisUrl });
const worker = await startWorker({
  ...base,
  ledger: postgresRunLedger({ pool }),
  sessions: postgresSessionStore({ pool, random: systemRandom }),
  queue,
  bus,
  objects: memoryObjectStore(),
  vault: { credential: () => Promise.resolve(null) },
  rateLimiter: memoryRateLimiter({ clock: systemClock }),
  catalog: TEST_CATALOG,
  runtime: scriptedAgentRuntime({ clock: systemClock, script }),
  tools: () => [look],
  keepLease: threadKeeper({
    clock: systemClock,
    linkModule: new URL("../adapters/postgres/heartbeat-link.ts", import.meta.url).href,
    linkSettings: { url, applicationName: `${instance} heartbeat` },
  }),
  instance,
  pools: ["shared"],
  slots: 16,
  drainGraceMs: 0,
  backUpSweep: false,
});
process.once("SIGTERM", () => {
  void worker
    .drain()
    .then(() => Promise.all([queue.close(), bus.close(), pool.end()]))
    .then(() => process.exit(0));
});
