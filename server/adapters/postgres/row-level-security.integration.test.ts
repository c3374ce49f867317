import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { postgresPool } from "./pool.ts";

/**
 * The application's own checks are the first line; this is the second one: what the database lets the application's
 * role do when a statement forgets its tenant, names another one, or reaches for what it was not given.
 */
let database: TestDatabase;
let operator: pg.Pool;
let application: pg.Pool;

const FILL = `
  INSERT INTO tenants (tenant_id) VALUES ('a'), ('b');
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id) SELECT t, 'agent:main:main', 's', 'main' FROM unnest('{a,b}'::text[]) t;
  INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane) SELECT t, 'agent:main:main', 's', 'shared', 'main' FROM unnest('{a,b}'::text[]) t;
  INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, accepted_at)
    SELECT t, 'r', 'agent:main:main', 's', 'main', 'main', 1, now() FROM unnest('{a,b}'::text[]) t;
  INSERT INTO idempotency_records (tenant_id, idempotency_key, session_key, request_hash) SELECT t, 'r', 'k', '\\x00' FROM unnest('{a,b}'::text[]) t;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, body) SELECT t, 'agent:main:main', 1, 'm', '{}' FROM unnest('{a,b}'::text[]) t;
  INSERT INTO steps (tenant_id, run_id, step_no, kind, fencing_token) SELECT t, 'r', 1, 'model', 1 FROM unnest('{a,b}'::text[]) t;
  INSERT INTO transcript_segments (tenant_id, session_key, first_seq, last_seq, sha256, bytes) SELECT t, 'agent:main:main', 1, 1, 'x', 1 FROM unnest('{a,b}'::text[]) t;
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind) SELECT t, 'x', 1, 'message' FROM unnest('{a,b}'::text[]) t;
  INSERT INTO agents (tenant_id, agent_id, spec) SELECT t, 'main', '{}' FROM unnest('{a,b}'::text[]) t;
  INSERT INTO tokens (token_hash, tenant_id, scopes) VALUES ('\\x01', 'a', '{}'), ('\\x02', 'b', '{}');
  INSERT INTO audit_log (tenant_id, action, target) VALUES ('a', 'x', 'x'), ('b', 'x', 'x');
  INSERT INTO seal_queue (tenant_id, session_key) VALUES ('a', 'agent:main:main'), ('b', 'agent:main:main');
  INSERT INTO cron_jobs (tenant_id, job_id, definition, enabled) SELECT t, 'j', '{}', true FROM unnest('{a,b}'::text[]) t;
  INSERT INTO cron_runs (tenant_id, job_id, run_id, fired_at) SELECT t, 'j', 'r', now() FROM unnest('{a,b}'::text[]) t;
  INSERT INTO subagent_runs (tenant_id, run_id, session_key, requester_run_id, requester_key, task, cleanup)
    SELECT t, 'r', 'k', 'r', 'k', 'x', 'keep' FROM unnest('{a,b}'::text[]) t`;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  operator = postgresPool({
    url: database.url,
    applicationName: "test-operator",
    role: null,
    maxConnections: 1,
  });
  application = postgresPool({ url: database.url, applicationName: "test", maxConnections: 1 });
  await operator.query(FILL);
});

afterAll(async () => {
  await Promise.all([operator.end(), application.end()]);
  await database.drop();
});

async function tablesWithTenant(): Promise<string[]> {
  const { rows } = await operator.query<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'openclaw_ha' AND column_name = 'tenant_id' AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'openclaw_ha')",
  );
  return rows.map(({ name }) => name);
}

/** As one tenant, in a transaction that is rolled back. */
async function as<T>(tenant: string | null, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await application.connect();
  try {
    await client.query("BEGIN");
    if (tenant !== null) await client.query("SELECT set_config('openclaw_ha.tenant', $1, true)", [tenant]);
    return await work(client);
  } finally {
    await client.query("ROLLBACK");
    client.release();
  }
}

const READABLE = [
  "tenants",
  "sessions",
  "session_leases",
  "runs",
  "messages",
  "steps",
  "transcript_segments",
  "artifacts",
  "agents",
  "seal_queue",
  "cron_jobs",
  "cron_runs",
  "subagent_runs",
];

describe("row-level security", () => {
  it("is forced on every table that has a tenant, and none of them belongs to the application's role", async () => {
    const { rows } = await operator.query<{ name: string; forced: boolean; owner: string }>(
      "SELECT relname AS name, relrowsecurity AND relforcerowsecurity AS forced, pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'openclaw_ha'::regnamespace AND relkind = 'r'",
    );
    const found = new Map(rows.map((row) => [row.name, row]));
    const tables = await tablesWithTenant();
    expect(tables.length).toBeGreaterThanOrEqual(13);
    for (const name of tables)
      expect(found.get(name)).toMatchObject({ forced: true, owner: "openclaw_ha_owner" });
  });

  it.each(READABLE)(
    "shows a tenant its own rows of %s, and nobody's where no tenant is set",
    async (table) => {
      const seen = (tenant: string | null) =>
        as(
          tenant,
          async (client) =>
            (await client.query<{ tenant_id: string }>(`SELECT tenant_id FROM ${table}`)).rows,
        );
      expect(await seen("a")).toEqual([{ tenant_id: "a" }]);
      expect(await seen("b")).toEqual([{ tenant_id: "b" }]);
      expect(await seen(null)).toEqual([]);
    },
  );

  it("changes and deletes nothing of another tenant, and writes nothing in its name", async () => {
    await as("a", async (client) => {
      expect((await client.query("UPDATE sessions SET label = 'x' WHERE tenant_id = 'b'")).rowCount).toBe(0);
      expect((await client.query("DELETE FROM messages WHERE tenant_id = 'b'")).rowCount).toBe(0);
      const foreign = client.query(
        "INSERT INTO sessions (tenant_id, session_key, session_id, agent_id) VALUES ('b', 'k', 's', 'main')",
      );
      await expect(foreign).rejects.toMatchObject({ code: "42501" });
    });
  });

  it.each(["tokens", "idempotency_records", "audit_log", "workers"])("keeps %s to itself", async (table) => {
    await as("a", (client) =>
      expect(client.query(`SELECT * FROM ${table}`)).rejects.toMatchObject({ code: "42501" }),
    );
  });

  it.each(["add_tenant('c', 'shared')", "add_token('a', '\\x03', '{}', 'x')", "start_next('w', '{}', '{}')"])(
    "does not let the application call %s",
    async (call) => {
      await as("a", (client) =>
        expect(client.query(`SELECT ${call}`)).rejects.toMatchObject({ code: "42501" }),
      );
    },
  );
});
