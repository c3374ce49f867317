import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workerId } from "../../core/ids.ts";
import { DEFAULT_SCALING } from "../../core/scaling.ts";
import { scalingStoreContract } from "../../ports/contract/scaling-store.contract.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { postgresPool } from "./pool.ts";
import { postgresScalingStore } from "./scaling-store.ts";

let database: TestDatabase;
let operator: ReturnType<typeof postgresPool>;
let application: ReturnType<typeof postgresPool>;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  operator = postgresPool({ url: database.url, applicationName: "test-operator", role: null });
  application = postgresPool({ url: database.url, applicationName: "test" });
});

afterAll(async () => {
  await Promise.all([operator.end(), application.end()]);
  await database.drop();
});

const EMPTY = "TRUNCATE control_leases, pool_sizes, scaling_decisions, instance_loads";

scalingStoreContract("postgres", async () => {
  await operator.query(EMPTY);
  const asOperator = postgresScalingStore({ pool: operator });
  return {
    // Everything but an operator's wish with the rights that processes have.
    scaling: {
      ...postgresScalingStore({ pool: application }),
      setSize: (pool, wish) => asOperator.setSize(pool, wish),
    },
    async passTime(ms) {
      const older = `interval '${ms} milliseconds'`;
      await operator.query(`UPDATE control_leases SET expires_at = expires_at - ${older};
        UPDATE instance_loads SET reported_at = reported_at - ${older}`);
    },
    close: async () => {},
  };
});

describe("scaling in PostgreSQL", () => {
  it("lets a process neither set sizes nor touch the tables", async () => {
    const scaling = postgresScalingStore({ pool: application });
    const wish = { desired: 9, otherwise: 9, policy: DEFAULT_SCALING, reason: "" };
    await expect(scaling.setSize("worker", wish)).rejects.toMatchObject({ code: "FORBIDDEN" });
    for (const table of ["control_leases", "pool_sizes", "scaling_decisions", "instance_loads"]) {
      await expect(application.query(`SELECT FROM ${table}`)).rejects.toMatchObject({ code: "42501" });
    }
  });

  it("tells the demand of each lane, in the pools that live workers serve", async () => {
    await operator.query(`
      INSERT INTO tenants (tenant_id, pool) VALUES ('a', 'shared'), ('b', 'shared'), ('v', 'vip');
      INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane, worker_id, ready_since, queued)
        SELECT t, k, k, p, l, w, r, CASE WHEN r IS NULL THEN 0 ELSE 1 END FROM (VALUES
        ('a', '1', 'shared', 'main', 'w.1', NULL::timestamptz),
        ('a', '2', 'shared', 'main', NULL, clock_timestamp() - interval '2 seconds'),
        ('a', '3', 'shared', 'cron', NULL, clock_timestamp() - interval '9 seconds'),
        ('a', '4', 'shared', 'main', NULL, NULL),
        ('b', '1', 'shared', 'main', 'w.1', NULL),
        ('v', '1', 'vip', 'main', NULL, clock_timestamp() - interval '1 hour')) AS x(t, k, p, l, w, r)`);
    const scaling = postgresScalingStore({ pool: application });
    expect((await scaling.observe(1_000)).lanes).toEqual([]);
    await operator.query("SELECT register_worker($1, 'w', '{shared}', 64, 1, false)", [workerId("w.1")]);
    const { lanes } = await scaling.observe(1_000);
    const seen = lanes.map(({ tenant, lane, ready, running, oldestReadyMs }) => {
      const seconds = oldestReadyMs === null ? "-" : Math.floor(oldestReadyMs / 1_000);
      return `${tenant} ${lane}: ${ready} ready, ${running} running, ${seconds}`;
    });
    expect(new Set(seen)).toEqual(
      new Set([
        "a cron: 1 ready, 0 running, 9",
        "a main: 1 ready, 1 running, 2",
        "b main: 0 ready, 1 running, -",
      ]),
    );
  });
});
