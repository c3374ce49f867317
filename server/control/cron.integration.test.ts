import { afterAll, beforeAll, expect, it } from "vitest";
import { postgresPool } from "../adapters/postgres/pool.ts";
import { openPostgresStores } from "../testing/postgres-stores.ts";
import { startControlProcess } from "../testing/control-process.ts";
import { type CronDefinition, cronRunId } from "../core/cron.ts";
import { tenantId } from "../core/ids.ts";
import type { StoreFixture } from "../ports/contract/store-fixture.ts";
import { testPostgres, type TestDatabase } from "../testing/services.ts";
import { until } from "../testing/until.ts";
import { CRON_TERM_MS } from "./cron.ts";

let database: TestDatabase;
let stores: StoreFixture;
let operator: ReturnType<typeof postgresPool>;
beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  stores = await openPostgresStores(database);
  operator = postgresPool({ url: database.url, applicationName: "test-operator", role: null });
});
afterAll(async () => {
  await operator.end();
  await stores.close();
  await database.drop();
});

const ACME = tenantId("acme");
const JOBS = 20;
const EVERY_MS = 250;

const definition = (at: number): CronDefinition => ({
  name: "once",
  schedule: { kind: "at", at: new Date(at).toISOString() },
  zone: "UTC",
  sessionTarget: "isolated",
  wakeMode: "now",
  payload: { kind: "agentTurn", message: "hi" },
});

const leader = (not?: string): Promise<string> =>
  until(
    async () => {
      const { rows } = await operator.query<{ holder: string }>(
        "SELECT holder FROM control_leases WHERE name = 'cron' AND expires_at > clock_timestamp()",
      );
      return rows[0] !== undefined && rows[0].holder !== not ? rows[0].holder : null;
    },
    { what: "a leader of the cron jobs", timeoutMs: 30_000, pollMs: 20 },
  );

it("jobs run on time, each once, and those that fall due while nobody leads when the next one does", async () => {
  await stores.directory.addTenant(ACME, "shared");
  const processes = new Map(
    ["control-a", "control-b"].map((name) => [name, startControlProcess(name, database.url)]),
  );
  const first = await leader();
  const at = await stores.cron.now();
  const begun = at + 500;
  const times = Array.from({ length: JOBS }, (_, n) => begun + n * EVERY_MS);
  await Promise.all(
    times.map((time, n) =>
      stores.cron.add(ACME, `job-${n}`, { definition: definition(time), enabled: true, nextRunAt: time }),
    ),
  );
  await until(async () => (await stores.cron.runs(ACME, null, JOBS)).length >= 4);
  const killedAt = await stores.cron.now();
  processes.get(first.split(".")[0]!)!.kill("SIGKILL");
  await leader(first);
  const ledAt = await stores.cron.now();
  expect(ledAt - killedAt).toBeLessThan(CRON_TERM_MS + 2_000);
  const runs = await until(
    async () => {
      const found = await stores.cron.runs(ACME, null, 2 * JOBS);
      return found.length >= JOBS ? found : null;
    },
    { what: "a run of every job", timeoutMs: 20_000 },
  );
  expect(runs.map(({ run }) => run.runId).toSorted()).toEqual(
    times.map((time, n) => cronRunId(`job-${n}`, time)).toSorted(),
  );
  // On time within a second, but for those that had to wait for the next leader.
  const waited = (due: number): number => (due > killedAt - 1_000 && due <= ledAt ? ledAt - killedAt : 0);
  const late = runs.filter(
    ({ scheduledAt, firedAt }) => firedAt - scheduledAt! > 1_000 + waited(scheduledAt!),
  );
  expect(late).toEqual([]);
});
