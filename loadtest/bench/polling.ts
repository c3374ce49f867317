import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, connectClient } from "./client.ts";
import { fillSessions, storedSession } from "./growth-rows.ts";
import { instanceEnvironment } from "./instance-environment.ts";
import { cpuSecondsByKind } from "./process-table.ts";
import { type BenchmarkOptions, progress, result, rounded, summary } from "./report.ts";
import { type ServedProcess, serveProcess } from "./served-process.ts";
import { startStores } from "./stores.ts";

interface Size {
  readonly sessions: number;
  readonly seconds: number;
}

const FULL: Size = { sessions: 10_000, seconds: 30 };
const QUICK: Size = { sessions: 1_000, seconds: 3 };
const TURNS_PER_SECOND = 10;
/** What the TUI was seen to ask after the events of one turn. */
const POLLS_PER_TURN = 11;
const CLIENTS = 10;

/** One request of a client that looks at its session again. */
type Poll = (key: string) => readonly [method: string, params: unknown];

const POLLS: Readonly<Record<string, Poll>> = {
  describes: (key) => ["sessions.describe", { key }],
  lists: () => ["sessions.list", { agentId: "main", limit: 1 }],
};

/**
 * What clients that look at their session after every event cost a gateway: ten turns a second, eleven times
 * `sessions.describe` a turn, evenly spread, and nothing else; and the same with the list of one row that the TUI asks for
 * beside it. Shares are of one core, beside what an idle gateway takes.
 */
export async function pollingBenchmark({ quick }: BenchmarkOptions): Promise<void> {
  const size = quick ? QUICK : FULL;
  const stores = await startStores();
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-bench-"));
  const served: ServedProcess[] = [];
  try {
    await fillSessions(stores.postgresUrl, size.sessions, progress);
    const model = await serveProcess("demo-model", {});
    served.push(model);
    const env = await instanceEnvironment({ folder, modelPort: model.port, stores, runs: 8 });
    const gateway = await serveProcess("gateway", env);
    served.push(gateway);
    const url = `ws://127.0.0.1:${gateway.port}`;
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => connectClient({ url, token: stores.token })),
    );
    const idle = await cpuShare(gateway.pid, () => sleep(size.seconds * 1_000));
    const measured: Record<string, unknown> = {};
    for (const [name, poll] of Object.entries(POLLS)) {
      await polled(clients, poll, { ...size, seconds: 1 }); // compiled, caches filled
      const times: number[] = [];
      const share = await cpuShare(gateway.pid, async () => {
        times.push(...(await polled(clients, poll, size)));
      });
      const own = rounded(share - idle);
      measured[name] = {
        percentOfCore: own,
        cpuMsPerRequest: rounded((own * 10) / (TURNS_PER_SECOND * POLLS_PER_TURN)),
        answerMs: summary(times),
      };
      progress(`${name}: ${JSON.stringify(measured[name])}`);
    }
    for (const client of clients) client.close();
    const load = { turnsPerSecond: TURNS_PER_SECOND, pollsPerTurn: POLLS_PER_TURN, seconds: size.seconds };
    result({ benchmark: "polling", ...load, idlePercentOfCore: rounded(idle), ...measured });
  } finally {
    await Promise.all(served.map((one) => one.stop()));
    await stores.stop();
    await rm(folder, { recursive: true });
  }
}

/** Sends the polls when they are due and answers how long each took, in milliseconds. */
async function polled(
  clients: readonly Client[],
  poll: Poll,
  { sessions, seconds }: Size,
): Promise<number[]> {
  const count = seconds * TURNS_PER_SECOND * POLLS_PER_TURN;
  const began = performance.now();
  const times: Promise<number>[] = [];
  for (let n = 0; n < count; n++) {
    const dueMs = (n * 1_000) / (TURNS_PER_SECOND * POLLS_PER_TURN);
    const early = began + dueMs - performance.now();
    if (early > 1) await sleep(early);
    const [method, params] = poll(storedSession(sessions, Math.floor(n / POLLS_PER_TURN) % sessions));
    const sentAt = performance.now();
    times.push(clients[n % clients.length]!.request(method, params).then(() => performance.now() - sentAt));
  }
  return Promise.all(times);
}

/** Per cent of one core that a process takes while the work is done. */
async function cpuShare(pid: number, work: () => Promise<unknown>): Promise<number> {
  const cpu = (): number => Object.values(cpuSecondsByKind([pid])).reduce((sum, one) => sum + one, 0);
  const [cpuBefore, began] = [cpu(), performance.now()];
  await work();
  return ((cpu() - cpuBefore) / ((performance.now() - began) / 1_000)) * 100;
}
