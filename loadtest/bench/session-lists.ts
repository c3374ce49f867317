import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client as PostgresClient } from "pg";
import { pageStatement } from "../../server/adapters/postgres/session-list.ts";
import { type TenantId, tenantId } from "../../server/core/ids.ts";
import type { SessionQuery } from "../../server/ports/session-store.ts";
import { type Client, connectClient } from "./client.ts";
import { BENCH_TENANT } from "./control-path.ts";
import { fillSessions, storedSession } from "./growth-rows.ts";
import { instanceEnvironment } from "./instance-environment.ts";
import { type BenchmarkOptions, progress, result, rounded, summary } from "./report.ts";
import { type ServedProcess, serveProcess } from "./served-process.ts";
import { startStores } from "./stores.ts";

interface Size {
  readonly sessions: number;
  readonly warmUp: number;
  readonly requests: number;
}

const FULL: Size = { sessions: 100_000, warmUp: 200, requests: 2_000 };
const QUICK: Size = { sessions: 2_000, warmUp: 20, requests: 100 };
/** Rows of a page, as the issue and the TUI have it. */
const LIMIT = 50;

/** The same list in both languages. */
interface Case {
  readonly name: string;
  /** How many of the requests are made, as a share: what takes long is asked less often. */
  readonly share: number;
  readonly params: Readonly<Record<string, unknown>>;
  readonly query: Partial<SessionQuery>;
}

const casesOf = ({ sessions }: Size): readonly Case[] => {
  // One session is found by what only its key has: everything is looked at, the page is not filled.
  const rare = storedSession(sessions, sessions - 1).slice(-12);
  const deep = Math.floor(sessions * 0.9);
  return [
    { name: "page 1", share: 1, params: {}, query: {} },
    { name: "page 3", share: 0.5, params: { offset: 2 * LIMIT }, query: { offset: 2 * LIMIT } },
    { name: "search, many", share: 0.25, params: { search: "qqq" }, query: { search: "qqq" } },
    { name: "pinned", share: 0.25, params: { pinned: true }, query: { pinned: true } },
    { name: "page at 90 %", share: 0.02, params: { offset: deep }, query: { offset: deep } },
    { name: "search, one", share: 0.02, params: { search: rare }, query: { search: rare } },
  ];
};

/**
 * `sessions.list` of a tenant with many sessions, 50 rows with titles and previews: through a gateway, and the statement
 * of the page alone on a connection of its own, one after the other, so that both meet the same machine.
 */
export async function sessionListsBenchmark({ quick }: BenchmarkOptions): Promise<void> {
  const size = quick ? QUICK : FULL;
  const stores = await startStores({ sharedBuffers: "512MB", maxWalSize: "4GB" });
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-bench-"));
  const served: ServedProcess[] = [];
  try {
    const seconds = await fillSessions(stores.postgresUrl, size.sessions, progress);
    progress(`${size.sessions} sessions stored in ${rounded(seconds)} s`);
    const model = await serveProcess("demo-model", {});
    served.push(model);
    const env = await instanceEnvironment({ folder, modelPort: model.port, stores, runs: 8 });
    const gateway = await serveProcess("gateway", env);
    served.push(gateway);
    const client = await connectClient({ url: `ws://127.0.0.1:${gateway.port}`, token: stores.token });
    const bare = await bareConnection(stores.postgresUrl);
    const measured: Record<string, unknown> = {};
    for (const one of casesOf(size)) {
      measured[one.name] = await compared(client, bare, one, size);
      progress(`${one.name}: ${JSON.stringify(measured[one.name])}`);
    }
    client.close();
    await bare.end();
    result({ benchmark: "session-lists", sessions: size.sessions, rows: LIMIT, ...measured });
  } finally {
    await Promise.all(served.map((one) => one.stop()));
    await stores.stop();
    await rm(folder, { recursive: true });
  }
}

/** A connection as a gateway's, already confined to the tenant. */
async function bareConnection(url: string): Promise<PostgresClient> {
  const settings = ["role=openclaw_ha_app", "search_path=openclaw_ha", "plan_cache_mode=force_generic_plan"];
  const client = new PostgresClient({
    connectionString: url,
    options: settings.map((setting) => `-c ${setting}`).join(" "),
  });
  await client.connect();
  await client.query(`SET openclaw_ha.tenant = '${BENCH_TENANT}'`);
  return client;
}

async function compared(
  client: Client,
  bare: PostgresClient,
  { params, query, share }: Case,
  { warmUp, requests }: Size,
): Promise<Record<string, unknown>> {
  const tenant: TenantId = tenantId(BENCH_TENANT);
  const { text, values } = pageStatement(tenant, { limit: LIMIT, archived: false, ...query });
  const asked = { limit: LIMIT, includeDerivedTitles: true, includeLastMessage: true, ...params };
  const gatewayMs: number[] = [];
  const bareMs: number[] = [];
  const count = Math.max(10, Math.round(requests * share));
  let rows = 0;
  for (let n = -Math.ceil(warmUp * share); n < count; n++) {
    const began = performance.now();
    const found = await bare.query(text, values);
    const between = performance.now();
    const list = (await client.request("sessions.list", asked)) as { readonly count: number };
    const ended = performance.now();
    rows = list.count;
    // The page's statement reads one row more, which tells whether there is another page.
    if (Math.min(found.rows.length, LIMIT) !== rows) throw new Error(`${found.rows.length} rows and ${rows}`);
    if (n < 0) continue;
    bareMs.push(between - began);
    gatewayMs.push(ended - between);
  }
  const [bareTimes, gatewayTimes] = [summary(bareMs), summary(gatewayMs)];
  return {
    requests: count,
    rows,
    bareMs: bareTimes,
    gatewayMs: gatewayTimes,
    ratio: {
      p50: rounded(gatewayTimes.p50 / bareTimes.p50),
      p99: rounded(gatewayTimes.p99 / bareTimes.p99),
    },
  };
}
