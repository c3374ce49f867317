import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryRateLimiter } from "../adapters/memory/rate-limiter.ts";
import { bodyStore } from "../bodies/body-store.ts";
import { embeddedAgentRuntime } from "../adapters/embedded-agent/agent-runtime.ts";
import { noEventBus } from "../adapters/none/event-bus.ts";
import { noRunQueue } from "../adapters/none/run-queue.ts";
import { postgresPool } from "../adapters/postgres/pool.ts";
import { postgresRunLedger } from "../adapters/postgres/run-ledger.ts";
import { postgresSessionStore } from "../adapters/postgres/session-store.ts";
import { postgresSubagentStore } from "../adapters/postgres/subagent-store.ts";
import { systemClock } from "../adapters/system/clock.ts";
import { jsonLogger } from "../adapters/system/logger.ts";
import { systemRandom } from "../adapters/system/random.ts";
import { agentTools } from "../agent-tools/registry.ts";
import type { SubagentStore } from "../ports/subagent-store.ts";
import { tellParents } from "../subagents/tell-parents.ts";
import { threadKeeper } from "../worker/keep-lease-thread.ts";
import { startWorker } from "../worker/main.ts";
import { demoCatalog } from "./demo-catalog.ts";

/**
 * A worker in a process of its own with the agent's tools, for tests that kill it: real PostgreSQL, a demo model, no Redis.
 * Environment: POSTGRES_URL, MODEL_URL, INSTANCE; DIES, the moment at which it kills itself:
 * `after-spawn`   a child has been accepted, and the tool's result is not recorded
 * `before-announce`  a child has ended, and nobody was told
 */
const {
  POSTGRES_URL: url = "",
  MODEL_URL: modelUrl = "",
  INSTANCE: instance = "worker",
  DIES: dies,
} = process.env;
const base = { clock: systemClock, random: systemRandom, logger: jsonLogger({ level: "info" }) };
const die = (): never => {
  process.kill(process.pid, "SIGKILL");
  for (;;); // until the signal has arrived
};
const pool = postgresPool({ url, applicationName: instance });
const catalog = demoCatalog(modelUrl);
const real = postgresSubagentStore({ pool });
const subagents: SubagentStore = {
  ...real,
  async spawn(request) {
    const answer = await real.spawn(request);
    return dies === "after-spawn" && answer.kind === "spawned" ? die() : answer;
  },
};
const objects = memoryObjectStore();
const ports = {
  ...base,
  ledger: postgresRunLedger({ pool }),
  sessions: postgresSessionStore({ pool, random: systemRandom }),
  queue: noRunQueue(),
  bus: noEventBus(),
  subagents,
  catalog,
  objects,
  bodies: bodyStore({ ...base, objects }),
};
const tell = tellParents(ports);
await startWorker({
  ...ports,
  vault: { credential: () => Promise.resolve(null) },
  rateLimiter: memoryRateLimiter({ clock: systemClock }),
  runtime: embeddedAgentRuntime(base),
  keepLease: threadKeeper({
    clock: systemClock,
    linkModule: new URL("../adapters/postgres/heartbeat-link.ts", import.meta.url).href,
    linkSettings: { url, applicationName: `${instance} heartbeat` },
  }),
  tools: agentTools(ports),
  ended: (grant) => (dies === "before-announce" && grant.lane === "subagent" ? die() : tell(grant)),
  instance,
  pools: ["shared"],
  slots: 16,
  drainGraceMs: 0,
  backUpSweep: false,
});
