import type { Pool } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { migrate } from "../../../migrate/schema.ts";
import { workerId } from "../../core/ids.ts";
import type { HeartbeatLink } from "../../ports/heartbeat-link.ts";
import type { RunLedger } from "../../ports/run-ledger.ts";
import { startTestPostgres, type TestStore } from "../../testing/services.ts";
import { until } from "../../testing/until.ts";
import { postgresHeartbeatLink } from "./heartbeat-link.ts";
import { postgresPool } from "./pool.ts";
import { LOCK_FREE_MS, postgresRunLedger, workerLockKey } from "./run-ledger.ts";

const WORKER = workerId("worker-1.00000000");

/** A worker that is registered and holds its lock, on a server of its own. */
async function livingWorker(): Promise<{
  server: TestStore;
  ledger: RunLedger;
  link: HeartbeatLink;
  admin: Pool;
}> {
  const server = await startTestPostgres({ durable: true });
  await migrate({ connectionString: server.url });
  const pool = postgresPool({ url: server.url, applicationName: "test" });
  const admin = postgresPool({
    url: server.url,
    applicationName: "test-operator",
    role: null,
    maxConnections: 1,
  });
  // A TTL that no busy machine can reach: what these tests see is the lock alone.
  const ledger = postgresRunLedger({ pool, leaseTtlMs: 600_000 });
  const link = postgresHeartbeatLink({ url: server.url, applicationName: "test heartbeat" });
  onTestFinished(async () => {
    await link.close();
    await Promise.all([pool.end(), admin.end()]);
    await server.stop();
  });
  const lock = await link.lock(WORKER);
  expect(lock).toBe("held");
  await ledger.registerWorker({ worker: WORKER, instance: "worker-1", pools: ["shared"], slots: 1 }, lock);
  return { server, ledger, link, admin };
}

const alive = async (ledger: RunLedger): Promise<boolean> =>
  (await ledger.workers()).some(({ worker }) => worker === WORKER);

/** Sweeps often for three times as long as a free lock may last, as control processes do. */
async function sweepForAWhile(ledger: RunLedger): Promise<void> {
  const ends = performance.now() + 3 * LOCK_FREE_MS;
  while (performance.now() < ends) {
    await ledger.sweep().catch(() => {}); // the server may be away
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const held = async (admin: Pool): Promise<boolean> => {
  const { rows } = await admin.query<{ free: boolean }>("SELECT pg_try_advisory_lock_shared($1) AS free", [
    workerLockKey(WORKER),
  ]);
  if (rows[0]?.free) await admin.query("SELECT pg_advisory_unlock_shared($1)", [workerLockKey(WORKER)]);
  return !rows[0]?.free;
};

describe("the worker's lock", () => {
  it("tells a death: a worker whose connections are gone is found dead long before its TTL", async () => {
    const { ledger, link } = await livingWorker();
    await sweepForAWhile(ledger);
    expect(await alive(ledger)).toBe(true);
    await link.close();
    await sweepForAWhile(ledger);
    expect(await alive(ledger)).toBe(false);
  });

  it("is taken again at once where only its connection broke, and nobody takes that for a death", async () => {
    const { ledger, admin } = await livingWorker();
    await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test heartbeat'",
    );
    await sweepForAWhile(ledger);
    expect(await alive(ledger)).toBe(true);
    expect(await held(admin)).toBe(true);
  });

  it("proves nothing after a restart of the server, where every lock is free", async () => {
    const { server, ledger, link, admin } = await livingWorker();
    // The worker's connection goes with the server, and the worker is slow to come back.
    await Promise.all([server.kill(), link.close()]);
    await server.start();
    await until(
      () =>
        ledger.backlog().then(
          () => true,
          () => false,
        ),
      { timeoutMs: 20_000 },
    );
    expect(await held(admin)).toBe(false);
    await sweepForAWhile(ledger);
    expect(await alive(ledger)).toBe(true);
  });
});
