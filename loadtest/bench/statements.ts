import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { postgresPool } from "../../server/adapters/postgres/pool.ts";
import { postgresRunLedger } from "../../server/adapters/postgres/run-ledger.ts";
import { agentId, runId, sessionKey, tenantId, workerId } from "../../server/core/ids.ts";
import type { Grant, RunLedger } from "../../server/ports/run-ledger.ts";
import { progress, result, rounded } from "./report.ts";
import { startStores } from "./stores.ts";

const BATCHES = [64, 8, 1];
const RUNS_PER_BATCH_SIZE = 4_096;
/** Plans are made, tables have a few pages. */
const WARM_UP_RUNS = 1_024;

const TENANT = tenantId("bench");
const WORKER = workerId("bench.1");
const TEXT = "x".repeat(200);

interface Cost {
  /** CPU microseconds of the back end per run. */
  readonly cpuUs: number;
  readonly wallUs: number;
}

/** What accept, claim and finish of one run cost a PostgreSQL back end, by the size of the batch it travels in. */
export async function statementsBenchmark(): Promise<void> {
  const stores = await startStores();
  // One connection, so that there is one back end whose CPU time can be read.
  const pool = postgresPool({ url: stores.postgresUrl, applicationName: "bench", maxConnections: 1 });
  try {
    const ledger = postgresRunLedger({ pool });
    await ledger.registerWorker(
      { worker: WORKER, instance: "bench", pools: ["shared"], slots: 64 },
      "absent",
    );
    await measure(pool, ledger, 64, WARM_UP_RUNS);
    const sizes = [];
    for (const batch of BATCHES) {
      const costs = await measure(pool, ledger, batch, RUNS_PER_BATCH_SIZE);
      progress(`batches of ${batch}: ${JSON.stringify(costs)}`);
      sizes.push({ batch, ...costs });
    }
    result({ benchmark: "statements", runs: RUNS_PER_BATCH_SIZE, sizes });
  } finally {
    await pool.end();
    await stores.stop();
  }
}

async function measure(
  pool: pg.Pool,
  ledger: RunLedger,
  batch: number,
  runs: number,
): Promise<Record<"accept" | "claim" | "finish", Cost> & { readonly walBytesPerRun: number }> {
  const {
    rows: [backend],
  } = await pool.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const sums = { accept: newSum(), claim: newSum(), finish: newSum() };
  const timed = async <T>(sum: Sum, call: () => Promise<T>): Promise<T> => {
    const cpu = cpuNanoseconds(backend!.pid);
    const began = performance.now();
    const answer = await call();
    sum.wallMs += performance.now() - began;
    sum.cpuNs += cpuNanoseconds(backend!.pid) - cpu;
    return answer;
  };
  const walBefore = await walPosition(pool);
  for (let done = 0; done < runs; done += batch) {
    const requests = Array.from({ length: batch }, acceptRequest);
    await timed(sums.accept, () => ledger.accept(requests));
    const claimed = await timed(sums.claim, () => ledger.claim(WORKER, requests));
    const grants = claimed.map((answer) => {
      if (answer.kind !== "granted") throw new Error(`a claim was answered ${answer.kind}`);
      return answer.grant;
    });
    await timed(sums.finish, () => ledger.finish(grants.map(finishRequest)));
  }
  const walBytes = (await walPosition(pool)) - walBefore;
  return {
    accept: costOf(sums.accept, runs),
    claim: costOf(sums.claim, runs),
    finish: costOf(sums.finish, runs),
    walBytesPerRun: Math.round(walBytes / runs),
  };
}

/** The first run of a new session. */
function acceptRequest() {
  const id = randomUUID();
  return {
    tenant: TENANT,
    runId: runId(id),
    sessionKey: sessionKey(`agent:main:${id}`),
    agentId: agentId("main"),
    lane: "main" as const,
    requestHash: "ab".repeat(32),
    input: { body: { inline: { role: "user" as const, content: TEXT, timestamp: 1 } }, options: {} },
    newSessionId: randomUUID(),
  };
}

const finishRequest = (grant: Grant) => ({
  grant,
  status: "succeeded" as const,
  result: { text: TEXT, stopReason: "stop" },
  error: null,
  steps: [{ kind: "model" as const, stepNo: 1 }],
  messages: [
    {
      messageId: randomUUID(),
      body: {
        inline: {
          role: "assistant" as const,
          content: [{ type: "text" as const, text: TEXT }],
          timestamp: 2,
        },
      },
    },
  ],
  takeNext: true,
});

interface Sum {
  cpuNs: number;
  wallMs: number;
}

const newSum = (): Sum => ({ cpuNs: 0, wallMs: 0 });

const costOf = ({ cpuNs, wallMs }: Sum, runs: number): Cost => ({
  cpuUs: rounded(cpuNs / 1_000 / runs),
  wallUs: rounded((wallMs * 1_000) / runs),
});

/** Time on a CPU, as the scheduler counts it: first field of schedstat, finer than the ticks of stat. */
const cpuNanoseconds = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);

async function walPosition(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ bytes: string }>(
    "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS bytes",
  );
  return Number(rows[0]?.bytes);
}
