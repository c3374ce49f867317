import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";

/**
 * Hot statements must not read in proportion to what is stored. PostgreSQL itself is asked: auto_explain reports the
 * plan of every statement inside the functions, with the rows that it really visited.
 */
const SESSIONS = 100_000;
const BATCH = 64;
const TABLES = "tenants|sessions|session_leases|runs|messages|steps|idempotency_records";

const FILL = `
  INSERT INTO tenants (tenant_id) VALUES ('big'), ('small');
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, updated_at)
    SELECT 'big', 'agent:main:' || n, n::text, 'main', clock_timestamp() - n * interval '1 second' FROM generate_series(1, ${SESSIONS}) n;
  INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane, head_seq, next_order)
    SELECT 'big', 'agent:main:' || n, n::text, 'shared', 'main', 2, 1 FROM generate_series(1, ${SESSIONS}) n;
  INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, status, accepted_at, ended_at, user_seq)
    SELECT 'big', 'old-' || n, 'agent:main:' || n, n::text, 'main', 'main', 1, 'succeeded', clock_timestamp() - n * interval '1 second', clock_timestamp(), 1
    FROM generate_series(1, ${SESSIONS}) n;
  INSERT INTO idempotency_records (tenant_id, idempotency_key, session_key, request_hash) SELECT tenant_id, run_id, session_key, '\\x00' FROM runs;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, run_id, body)
    SELECT 'big', 'agent:main:' || n, m, n || '-' || m, 'old-' || n, '{"role":"user","content":"x"}' FROM generate_series(1, ${SESSIONS}) n, generate_series(1, 2) m;`;

let database: TestDatabase;
let client: Client;
const notices: string[] = [];

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  client = new Client({ connectionString: database.url, options: "-c search_path=openclaw_ha" });
  client.on("notice", (notice) => notices.push(notice.message ?? ""));
  await client.connect();
  await client.query(FILL);
  await client.query("SELECT register_worker('w.1', 'w', '{shared}', 64, 1, false)");
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

/** Plans of everything that a query runs, nested statements included. */
async function plansOf(
  text: string,
  values: unknown[],
): Promise<{ plans: string; rows: Record<string, unknown>[] }> {
  await client.query(`LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_analyze = on; SET client_min_messages = log`);
  notices.length = 0;
  const { rows } = await client.query<Record<string, unknown>>(text, values);
  await client.query("SET client_min_messages = warning; SET auto_explain.log_min_duration = -1");
  return { plans: notices.filter((notice) => notice.includes("plan:")).join("\n"), rows };
}

function expectNoScan(plans: string): void {
  expect(plans).toMatch(/Index (Only )?Scan/);
  expect(plans).not.toMatch(new RegExp(`Seq Scan on (${TABLES})\\b`));
  for (const [, removed] of plans.matchAll(/Rows Removed by (?:Join )?Filter: (\d+)/g)) {
    expect(Number(removed)).toBeLessThan(BATCH * 2);
  }
}

const ids = (name: string): string[] => Array.from({ length: BATCH }, (_, n) => `${name}-${n}`);
const acceptBatch = (name: string): string =>
  JSON.stringify(
    ids(name).map((k, ord) => ({
      ord,
      t: "big",
      k,
      s: `agent:main:${ord + 1}`,
      a: "main",
      l: "main",
      h: "00",
      sid: k,
      ib: "{}",
      o: {},
    })),
  );
const keys = JSON.stringify(ids("").map((_, n) => ({ t: "big", s: `agent:main:${n + 1}` })));

describe.each(["as migrated, never analysed with data", "analysed"])(
  `plans on ${SESSIONS} sessions, %s`,
  (state) => {
    beforeAll(async () => {
      if (state === "analysed") await client.query("ANALYZE");
    });

    it("accepts, claims, checkpoints and finishes by key", async () => {
      const name = state.slice(0, 3);
      const accept = await plansOf("SELECT * FROM accept_runs($1, 1000)", [acceptBatch(name)]);
      expect(accept.rows.every((row) => row["kind"] === "new")).toBe(true);
      expectNoScan(accept.plans);
      expectNoScan((await plansOf("SELECT * FROM accept_runs($1, 1000)", [acceptBatch(name)])).plans);

      const claim = await plansOf("SELECT (granted).* FROM claim_sessions('w.1', $1, 10000, 3)", [keys]);
      expect(claim.rows).toHaveLength(BATCH);
      expectNoScan(claim.plans);

      const guards = claim.rows.map((row, ord) => {
        return {
          ord,
          t: "big",
          s: row["session_key"],
          r: row["run_id"],
          tok: row["token"],
          no: 1,
          st: "succeeded",
          next: true,
        };
      });
      const step = (n: number) => ({ steps: [{ n, kind: "model" }], msgs: [{ id: `m${n}`, body: "{}" }] });
      const checkpoint = await plansOf("SELECT * FROM checkpoint_runs($1)", [
        JSON.stringify(guards.map((guard) => ({ ...guard, ...step(1) }))),
      ]);
      expect(checkpoint.rows).toHaveLength(BATCH);
      expectNoScan(checkpoint.plans);

      const finish = await plansOf("SELECT * FROM finish_runs($1, 64)", [
        JSON.stringify(guards.map((guard) => ({ ...guard, ...step(2) }))),
      ]);
      expect(finish.rows).toHaveLength(BATCH);
      expectNoScan(finish.plans);
    });

    it("reads runs, heartbeats and sweeps by key", async () => {
      expectNoScan(
        (await plansOf("SELECT * FROM runs_by_id($1)", [JSON.stringify([{ t: "big", r: "old-77" }])])).plans,
      );
      expectNoScan((await plansOf("SELECT * FROM heartbeat('w.1', false)", [])).plans);
      expectNoScan((await plansOf("SELECT * FROM ready_sessions(0, 100, NULL, NULL, NULL)", [])).plans);
      // Only what waits or runs, whatever is stored.
      const observe = await plansOf("SELECT * FROM observe_load(7000)", []);
      expectNoScan(observe.plans.replaceAll(/Seq Scan on workers/g, ""));
      const sweep = await plansOf("SELECT * FROM sweep(10000, 400, 3)", []);
      expect(sweep.plans).not.toMatch(new RegExp(`Seq Scan on (${TABLES.replace("tenants|", "")})\\b`));
    });
  },
);
