import { randomInt } from "node:crypto";
import { Client } from "pg";
import { systemPorts } from "../../server/wiring.ts";
import { testDatabases } from "../../server/testing/test-database.ts";
import { openControlPath } from "./control-path.ts";
import { fillSessions, storedSession } from "./growth-rows.ts";
import { timedLedger } from "./ledger-times.ts";
import { cpuSecondsByKind } from "./process-table.ts";
import { cpuMsPerRun, median, percentile, progress, result, rounded } from "./report.ts";
import { addTenant, type BenchStores, startStores } from "./stores.ts";

const SIZES = { small: 1_000, big: 1_000_000 };
/** Runs in flight and runs of a turn: few, for latency; many, for throughput and CPU time. */
const LOADS = { latency: { inFlight: 4, runs: 800 }, throughput: { inFlight: 256, runs: 4_000 } };
const PASSES = 5;

type Load = keyof typeof LOADS;

/** Which of the stored sessions have runs. */
interface Case {
  /** In the document. */
  readonly name: "small" | "active" | "anywhere";
  readonly url: string;
  readonly size: number;
  /** Places of the sessions among the stored ones. */
  readonly sessions: readonly number[];
}

/** Figures of one turn by name; times in milliseconds. */
type Turn = Readonly<Record<string, number>>;

/**
 * What a million stored sessions cost the next run: two databases of one server, filled alike up to their size, and
 * the same turns on each, one after the other. Every run is in a stored session and reads its history.
 *
 * `active`: a thousand sessions, spread at random over the million, have all the runs, as the thousand of the small
 * database do. `anywhere`: each run wakes a session that nobody has touched for long, the worst that can happen to
 * caches, and to PostgreSQL, which logs a page whole when it is first changed after a checkpoint.
 */
export async function growthBenchmark(): Promise<void> {
  const stores = await startStores({ sharedBuffers: "2GB", maxWalSize: "8GB" });
  const server = testDatabases(stores.postgresUrl);
  try {
    const urls: Record<keyof typeof SIZES, string> = { small: "", big: "" };
    for (const name of ["small", "big"] as const) {
      const { url } = await server.createDatabase();
      await addTenant(url, `growth-${name}`);
      const seconds = await fillSessions(url, SIZES[name], progress);
      progress(`${SIZES[name]} sessions stored in ${rounded(seconds)} s`);
      urls[name] = url;
    }
    const all = (size: number): number[] => Array.from({ length: size }, (_, n) => n);
    const some = Array.from({ length: SIZES.small }, () => randomInt(SIZES.big));
    const cases: Case[] = [
      { name: "small", url: urls.small, size: SIZES.small, sessions: all(SIZES.small) },
      { name: "active", url: urls.big, size: SIZES.big, sessions: [...new Set(some)] },
      { name: "anywhere", url: urls.big, size: SIZES.big, sessions: all(SIZES.big) },
    ];
    const measured: Record<string, unknown> = {};
    for (const load of ["latency", "throughput"] as const) {
      const turns: Record<Case["name"], Turn[]> = { small: [], active: [], anywhere: [] };
      for (const one of cases) await turn(stores, one, load); // caches as they are in operation
      for (let pass = 1; pass <= PASSES; pass++) {
        for (const one of pass % 2 === 0 ? cases : cases.toReversed()) {
          turns[one.name].push(await turn(stores, one, load));
        }
        const latest = Object.entries(turns).map(([name, of]) => [name, of.at(-1)]);
        progress(`${load}, pass ${pass}: ${JSON.stringify(Object.fromEntries(latest))}`);
      }
      measured[load] = compared(turns);
    }
    result({ benchmark: "growth", sessions: SIZES, loads: LOADS, passes: PASSES, ...measured });
  } finally {
    await stores.stop();
  }
}

/** Medians of the turns, and of the ratios of turns that ran beside each other. */
function compared({ small, active, anywhere }: Record<Case["name"], Turn[]>): Record<string, unknown> {
  const values = (turns: readonly Turn[], figure: string): number[] => turns.map((one) => one[figure]!);
  const ratio = (turns: readonly Turn[], figure: string): number =>
    median(turns.map((one, i) => one[figure]! / small[i]![figure]!));
  return Object.fromEntries(
    Object.keys(small[0]!).map((figure) => [
      figure,
      {
        small: median(values(small, figure)),
        active: median(values(active, figure)),
        activeRatio: ratio(active, figure),
        anywhere: median(values(anywhere, figure)),
        anywhereRatio: ratio(anywhere, figure),
      },
    ]),
  );
}

async function turn(stores: BenchStores, { url, size, sessions }: Case, load: Load): Promise<Turn> {
  const { inFlight, runs } = LOADS[load];
  const { observe, callMs } = timedLedger();
  const path = await openControlPath({
    postgresUrl: url,
    redisUrl: stores.redisUrl,
    slots: inFlight,
    observeLedger: observe,
  });
  const busy = new Set<number>();
  /** A session that has no run under way: what a run then waits for is not another one. */
  const anySession = (): number => {
    for (;;) {
      const n = sessions[randomInt(sessions.length)]!;
      if (!busy.has(n)) return n;
    }
  };
  const ackMs: number[] = [];
  const endToEndMs: number[] = [];
  let left = 0;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const session = anySession();
      busy.add(session);
      const sentAt = performance.now();
      const { ended } = await path.send(storedSession(size, session), systemPorts.random.uuid());
      ackMs.push(performance.now() - sentAt);
      await ended;
      endToEndMs.push(performance.now() - sentAt);
      busy.delete(session);
    }
  };
  const pass = async (count: number): Promise<number> => {
    left = count;
    for (const samples of [ackMs, endToEndMs, ...Object.values(callMs)]) samples.length = 0;
    const began = performance.now();
    await Promise.all(Array.from({ length: inFlight }, client));
    return (performance.now() - began) / 1_000;
  };
  try {
    await pass(2 * inFlight);
    const wal = await walBytes(url);
    const processes = [process.pid, ...stores.pids];
    const before = cpuSecondsByKind(processes);
    const seconds = await pass(runs);
    const cpu = cpuMsPerRun(before, cpuSecondsByKind(processes), runs);
    const times = { ack: ackMs, ...callMs, endToEnd: endToEndMs };
    return {
      runsPerSecond: Math.round(runs / seconds),
      cpuMsPerRun: rounded(Object.values(cpu).reduce((sum, ms) => sum + ms, 0)),
      postgresCpuMsPerRun: cpu["postgres"] ?? 0,
      walKbPerRun: rounded(((await walBytes(url)) - wal) / runs / 1_024),
      ...Object.fromEntries(
        Object.entries(times).flatMap(([call, samples]) => [
          [`${call}P50Ms`, percentile(samples, 0.5)],
          [`${call}P99Ms`, percentile(samples, 0.99)],
        ]),
      ),
    };
  } finally {
    await path.close();
  }
}

/** Where the write-ahead log of the server stands. */
async function walBytes(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ bytes: string }>(
    "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS bytes",
  );
  await client.end();
  return Number(rows[0]?.bytes);
}
