import { Client } from "pg";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { tenantId, type WorkerId } from "../../core/ids.ts";
import { newKey, storeWorld, unique } from "../../ports/contract/store-world.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { until } from "../../testing/until.ts";

/** What calls wait for. Lease rows come before rows of workers; whoever has a worker's row already waits for no lease. */
let database: TestDatabase;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
});

afterAll(() => database.drop());

/** A session that a worker holds, and another call in the middle of its transaction. */
async function heldSession() {
  const world = await storeWorld(() => openPostgresStores(database));
  const key = newKey();
  await world.accept(key);
  const holder = await world.worker("holder");
  await world.claim(holder, key);
  const other = new Client({ connectionString: database.url, options: "-c search_path=openclaw_ha" });
  await other.connect();
  onTestFinished(() => other.end());
  await other.query("BEGIN");
  const lockLease = () =>
    other.query("SELECT FROM session_leases WHERE tenant_id = $1 AND session_key = $2 FOR UPDATE", [
      world.tenant,
      key,
    ]);
  const lockWorker = (worker: WorkerId) =>
    other.query("SELECT FROM workers WHERE worker_id = $1 FOR UPDATE", [worker]);
  const somebodyWaits = () =>
    until(
      async () => {
        const { rows } = await other.query(
          "SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))",
          [(await other.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0]!.pid],
        );
        return rows.length > 0;
      },
      { pollMs: 10, what: "a call to wait for the lock" },
    );
  return { ...world, key, holder, other, lockLease, lockWorker, somebodyWaits };
}

it("a worker that retires has no row locked while it waits for its sessions", async () => {
  const { ledger, key, holder, other, lockLease, lockWorker, somebodyWaits, ready } = await heldSession();
  await lockLease();
  const retired = ledger.retireWorker(holder);
  await somebodyWaits();
  await lockWorker(holder);
  await other.query("COMMIT");
  expect(await retired).toEqual([ready(key)]);
});

it("a claim waits for no worker that a sweep is judging", async () => {
  const { worker, key, holder, other, lockWorker, silence, claimAs } = await heldSession();
  const young = await worker("young");
  await silence(young);
  await lockWorker(holder);
  expect(await claimAs(young, key)).toEqual({ kind: "busy" });
  await other.query("COMMIT");
  expect(await claimAs(young, key)).toMatchObject({ kind: "granted", grant: { attempt: 2 } });
});

it("workers that poll together wait for one another only where they want the same tenant's lane", async () => {
  const { ledger, worker, accept, pool, directory, request, other } = await heldSession();
  const [first, second] = [await worker("first"), await worker("second")];
  const neighbour = tenantId(unique("neighbour"));
  await directory.addTenant(neighbour, pool);
  for (let i = 0; i < 3; i++) await accept(newKey("mine"));
  await accept(newKey("cron"), { lane: "cron" });
  const [theirs] = await ledger.accept([request(newKey(), { tenant: neighbour })]);
  const widths = { main: 3, subagent: 1, cron: 1 }; // one of `main` is held
  const mine = await other.query("SELECT * FROM claim_ready($1, $2, 1, $3)", [first, [pool], widths]);
  expect(mine.rows).toHaveLength(1);

  const found = await ledger.claimReady(second, [pool], 8, widths);
  expect(found.map(({ lane, tenant }) => [lane, tenant === neighbour])).toEqual(
    expect.arrayContaining([
      ["cron", false],
      ["main", true],
    ]),
  );
  expect(found).toHaveLength(2);
  expect(theirs).toMatchObject({ kind: "new" });
  const waiting = ledger.claimReady(second, [pool], 8, widths);
  await other.query("COMMIT");
  expect(await waiting).toHaveLength(1);
});
