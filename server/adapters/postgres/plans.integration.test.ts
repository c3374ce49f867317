import { Client, type Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agentId, runId, sessionKey, tenantId } from "../../core/ids.ts";
import { SESSIONS_COUNTED, type SessionQuery } from "../../ports/session-store.ts";
import { message } from "../../ports/contract/store-world.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { postgresPool } from "./pool.ts";
import { postgresRunLedger } from "./run-ledger.ts";
import { postgresSessionStore } from "./session-store.ts";

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
/** As the processes connect; every plan is told as a notice. */
let application: Pool;
const notices: string[] = [];

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  client = new Client({ connectionString: database.url, options: "-c search_path=openclaw_ha" });
  client.on("notice", (notice) => notices.push(notice.message ?? ""));
  await client.connect();
  await client.query(FILL);
  for (const setting of [
    "session_preload_libraries = auto_explain",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "auto_explain.log_analyze = on",
    "client_min_messages = log",
  ]) {
    await client.query(`ALTER DATABASE ${database.name} SET ${setting}`);
  }
  application = postgresPool({ url: database.url, applicationName: "test" });
  application.on("connect", (connected) => {
    connected.on("notice", (notice) => notices.push(notice.message ?? ""));
  });
  await client.query("SELECT register_worker('w.1', 'w', '{shared}', 64, 1, false)");
});

afterAll(async () => {
  await Promise.all([client.end(), application.end()]);
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

/** Plans of everything that a call of an adapter runs. How far a list is counted has a test of its own. */
async function plansOfCall(call: () => Promise<unknown>, counting = false): Promise<string> {
  notices.length = 0;
  await call();
  const plans = notices.filter((text) => text.includes("plan:"));
  return plans.filter((text) => text.includes("sessions.count") === counting).join("\n");
}

function expectNoScan(plans: string): void {
  expect(plans).toMatch(/Index (Only )?Scan/);
  expect(plans).not.toMatch(new RegExp(`Seq Scan on (${TABLES})\\b`));
  for (const [, removed] of plans.matchAll(/Rows Removed by (?:Join )?Filter: (\d+)/g)) {
    expect(Number(removed)).toBeLessThan(BATCH * 2);
  }
}

/** Lines of plans that read in proportion to what is stored. The few tenants may be read whole. */
function scansIn(plans: string): string[] {
  const tables = TABLES.replace("tenants|", "");
  return plans.split("\n").filter((line) => {
    const removed = /Rows Removed by (?:Join )?Filter: (\d+)/.exec(line)?.[1];
    const read = /actual time=\S+ rows=(\d+)/.exec(line)?.[1];
    const many = Math.max(Number(removed ?? 0), Number(read ?? 0)) >= BATCH * 2;
    return many || new RegExp(`Seq Scan on (${tables})\\b`).test(line);
  });
}

const ids = (name: string): string[] => Array.from({ length: BATCH }, (_, n) => `${name}-${n}`);
const acceptBatch = (name: string, first: number, queueMode?: (ord: number) => string | undefined): string =>
  JSON.stringify(
    ids(name).map((k, ord) => ({
      ord,
      qm: queueMode?.(ord),
      qd: "steer",
      t: "big",
      k,
      s: `agent:main:${first + ord}`,
      a: "main",
      l: "main",
      h: "00",
      sid: k,
      ib: '{"content": "x"}',
      o: {},
    })),
  );
const keys = (first: number): string =>
  JSON.stringify(ids("").map((_, n) => ({ t: "big", s: `agent:main:${first + n}` })));

describe.each(["as migrated, never analysed with data", "analysed"])(
  `plans on ${SESSIONS} sessions, %s`,
  (state) => {
    beforeAll(async () => {
      if (state === "analysed") await client.query("ANALYZE");
    });

    it("accepts, claims, checkpoints and finishes by key", async () => {
      const name = state.slice(0, 3);
      const first = state === "analysed" ? 200 : 1;
      const accept = await plansOf("SELECT * FROM accept_runs($1, 1000)", [acceptBatch(name, first)]);
      expect(accept.rows.every((row) => row["kind"] === "new")).toBe(true);
      expectNoScan(accept.plans);
      expectNoScan((await plansOf("SELECT * FROM accept_runs($1, 1000)", [acceptBatch(name, first)])).plans);

      const claim = await plansOf("SELECT (granted).* FROM claim_sessions('w.1', $1, 10000, 3)", [
        keys(first),
      ]);
      expect(claim.rows).toHaveLength(BATCH);
      expectNoScan(claim.plans);

      // What comes while the sessions are busy: the mode of every third is looked up in its session.
      for (const more of ["a", "b"]) {
        const modes = acceptBatch(
          `${name}-${more}`,
          first,
          (ord) => [undefined, "collect", "interrupt"][ord % 3],
        );
        expectNoScan((await plansOf("SELECT * FROM accept_runs($1, 1000)", [modes])).plans);
      }

      const guardsOf = (grants: readonly Record<string, unknown>[]) =>
        grants.map((row, ord) => {
          return {
            ord,
            t: "big",
            s: row["session_key"],
            r: row["run_id"],
            tok: row["token"],
            no: 1,
            st: "succeeded",
            next: true,
            steer: true,
          };
        });
      const guards = guardsOf(claim.rows);
      const step = (n: number) => ({ steps: [{ n, kind: "model" }], msgs: [{ id: `m${n}`, body: "{}" }] });
      const checkpoint = await plansOf("SELECT * FROM checkpoint_runs($1)", [
        JSON.stringify(guards.map((guard) => ({ ...guard, ...step(1) }))),
      ]);
      expect(checkpoint.rows).toHaveLength(BATCH);
      expect(checkpoint.rows.filter((row) => row["steered"] !== null)).toHaveLength(Math.ceil(BATCH / 3));
      expectNoScan(checkpoint.plans);
      const again = await plansOf("SELECT * FROM checkpoint_runs($1)", [
        JSON.stringify(guards.map((guard) => ({ ...guard, ...step(1) }))),
      ]);
      expectNoScan(again.plans);

      const finishing = "SELECT f.ord, (f.next).* FROM finish_runs($1, 64) f";
      let collected = 0;
      for (let left = guards, n = 2; left.length > 0; n++) {
        const work = left.map((guard) => ({ ...guard, ...step(n) }));
        const finish = await plansOf(finishing, [JSON.stringify(work)]);
        expect(finish.rows).toHaveLength(left.length);
        expectNoScan(finish.plans);
        left = guardsOf(finish.rows.filter((row) => row["run_id"] !== null));
        collected += finish.rows.filter((row) => JSON.stringify(row["collected"] ?? []) !== "[]").length;
      }
      expect(collected).toBe(Math.ceil((BATCH - 1) / 3));
    });

    it("finds by key what users read and change", async () => {
      const name = `user-${state.slice(0, 3)}`;
      const tenant = tenantId("big");
      const key = (n: number) => sessionKey(`agent:main:${n + (state === "analysed" ? 500 : 0)}`);
      const sessions = postgresSessionStore({ pool: application, random: seededRandom(1) });
      const ledger = postgresRunLedger({ pool: application });
      const accepted = ids(name).map((k, ord) => ({ ord, t: "big", k, s: key(ord), a: "main", l: "main" }));
      const batch = accepted.map((one) => ({ ...one, h: "00", sid: one.k, ib: "{}", o: {} }));
      await client.query("SELECT accept_runs($1, 1000)", [JSON.stringify(batch)]);
      await client.query("UPDATE runs SET status = 'dead', ended_at = now() WHERE run_id = $1", [
        `${name}-9`,
      ]);
      await client.query(
        `INSERT INTO messages (tenant_id, session_key, seq, message_id, run_id)
         SELECT 'big', $1, 10 + n, 'long-' || n, CASE WHEN n % 2 = 0 THEN 'r' END FROM generate_series(1, 5000) n`,
        [key(74)],
      );
      const calls: Record<string, () => Promise<unknown>> = {
        get: () => sessions.get(tenant, key(70)),
        list: () => sessions.list(tenant, { limit: 50 }),
        "next page": () => sessions.list(tenant, { limit: 50, offset: 50, archived: false }),
        "list pinned": () => sessions.list(tenant, { limit: 50, pinned: true, archived: false }),
        "list archived": () => sessions.list(tenant, { limit: 50, archived: true }),
        "list active": () => sessions.list(tenant, { limit: 50, activeOnly: true, archived: false }),
        "find by label": () => sessions.list(tenant, { limit: 2, label: "none", archived: false }),
        "find by id": () => sessions.list(tenant, { limit: 2, sessionId: "77", archived: false }),
        history: () => sessions.history(tenant, key(70), { limit: 50 }),
        context: () => sessions.context(tenant, key(70), 0),
        "newest compaction of a long session": () => sessions.context(tenant, key(74), 0),
        patch: () => sessions.patch(tenant, key(70), { label: name, expectedLifecycleRevision: "1" }),
        append: () => sessions.append(tenant, key(71), message("x")),
        "append to a long session": () => sessions.append(tenant, key(74), message("x")),
        reset: () => sessions.reset(tenant, key(72), "new"),
        delete: () => sessions.delete(tenant, key(73)),
        create: () =>
          sessions.create(tenant, {
            key: sessionKey(`agent:main:${name}`),
            agentId: agentId("main"),
            sessionId: name,
            createdVia: "test",
          }),
        "get run": () => ledger.get(tenant, runId(`${name}-1`)),
        "queued runs of a session": () =>
          ledger.list(tenant, { sessionKey: key(4), status: ["queued"], limit: 20 }),
        "what waits in a session": () => ledger.queued(tenant, key(4), 20),
        "find by prefix": () => sessions.withPrefix(tenant, "agent:main:9999", 10),
        "find a message": () => sessions.seqOf(tenant, key(7), "7-1"),
        "reset once": () => sessions.reset(tenant, key(8), "new", `${name}-reset`),
        "mark as read": () => sessions.patch(tenant, key(8), { unread: false }),
        answer: () =>
          ledger.answer({
            tenant,
            runId: runId(`${name}-answered`),
            sessionKey: key(7),
            agentId: agentId("main"),
            lane: "main",
            requestHash: "00",
            newSessionId: "n",
            result: { text: "fine", stopReason: "stop" },
            messages: [message("/status", "user"), message("fine")],
            patch: { model: null },
          }),
        "ended runs of a session": () => ledger.list(tenant, { sessionKey: key(4), limit: 20 }),
        "runs that failed": () =>
          ledger.list(tenant, { status: ["failed", "timed_out", "aborted", "dead"], limit: 20 }),
        "runs that failed for one reason": () => ledger.list(tenant, { errorKind: "timeout", limit: 20 }),
        "steps of a run": () => ledger.steps(tenant, runId(`${name}-1`)),
        "list runs": () => ledger.list(tenant, { limit: 20 }),
        "abort run": () => ledger.abort(tenant, { runId: runId(`${name}-2`) }),
        "abort session": () => ledger.abort(tenant, { sessionKey: key(3), stopSubagents: true }),
        "abort before a reset": () => ledger.abort(tenant, { sessionKey: key(5), beforeReset: "r" }),
        redrive: () => ledger.redrive(tenant, runId(`${name}-9`)),
        backlog: () => ledger.backlog(),
      };
      const scans: Record<string, string[]> = {};
      for (const [what, call] of Object.entries(calls)) {
        const plans = await plansOfCall(call);
        expect([what, plans.includes("plan:")]).toEqual([what, true]);
        // What waits and what runs is counted by an index of its own, which may still hold those that were let go.
        const counted = (line: string): boolean =>
          what === "backlog" && /Index (Only )?Scan (using|on) session_leases_(held|ready)\b/.test(line);
        scans[what] = scansIn(plans).filter((line) => !counted(line));
      }
      expect(scans).toEqual(Object.fromEntries(Object.keys(calls).map((what) => [what, []])));
    });

    it("counts a list of sessions only so far, and never less than its pages reach", async () => {
      const tenant = tenantId("big");
      const sessions = postgresSessionStore({ pool: application, random: seededRandom(1) });
      const total = async (query: SessionQuery) => (await sessions.list(tenant, query)).total;
      const plans = await plansOfCall(async () => {
        expect(await total({ limit: 5, archived: false })).toBe(SESSIONS_COUNTED);
      }, true);
      const read = [...plans.matchAll(/actual time=\S+ rows=(\d+)/g)].map(([, rows]) => Number(rows));
      expect(Math.max(...read)).toBe(SESSIONS_COUNTED);
      const offset = SESSIONS_COUNTED + 500;
      expect(await total({ limit: 5, offset })).toBe(offset + 6);
      // What the page itself tells needs no counting.
      const few = { limit: 5, search: "agent:main:9999" };
      expect(await total({ ...few, limit: 50 })).toBe(11);
      expect(await plansOfCall(() => total({ ...few, limit: 50 }), true)).toBe("");
      expect(await total(few)).toBe(11);
      expect(await total({ ...few, offset: 20 })).toBe(11);
    });

    it("reads runs, heartbeats and sweeps by key", async () => {
      expectNoScan(
        (await plansOf("SELECT * FROM runs_by_id($1)", [JSON.stringify([{ t: "big", r: "old-77" }])])).plans,
      );
      expectNoScan((await plansOf("SELECT * FROM heartbeat('w.1', false)", [])).plans);
      expectNoScan((await plansOf("SELECT * FROM ready_sessions(0, 100, NULL, NULL, NULL)", [])).plans);
      await client.query("INSERT INTO seal_queue VALUES ('big', 'agent:main:77777') ON CONFLICT DO NOTHING");
      const candidates = await plansOf("SELECT * FROM seal_candidates(1, 20, 1000, false)", []);
      expect(candidates.rows).toHaveLength(1);
      expectNoScan(candidates.plans);
      // Only what waits or runs, whatever is stored.
      const observe = await plansOf("SELECT * FROM observe_load(7000)", []);
      expectNoScan(observe.plans.replaceAll(/Seq Scan on workers/g, ""));
      await client.query(
        "INSERT INTO messages (tenant_id, session_key, seq, message_id, body) SELECT 'big', 'agent:main:88888', n, 'l' || n, to_json(repeat('x', 40000)) FROM generate_series(10, 12) n ON CONFLICT DO NOTHING",
      );
      for (const reads of ["running_runs(50)", "failed_runs(20)", "lane_backlog(50)"]) {
        expectNoScan((await plansOf(`SELECT * FROM ${reads}`, [])).plans);
      }
      const large = await plansOf("SELECT * FROM large_bodies(50, 1000000)", []);
      expect(large.rows).toHaveLength(3);
      expectNoScan(large.plans);
      const sweep = await plansOf("SELECT * FROM sweep(10000, 400, 3)", []);
      expect(sweep.plans).not.toMatch(new RegExp(`Seq Scan on (${TABLES.replace("tenants|", "")})\\b`));
    });

    it("claims ready sessions without the queue by key, however many there are", async () => {
      const first = state === "analysed" ? 60_000 : 20_000;
      const name = `ready-${state.slice(0, 3)}`;
      await client.query(
        `WITH ready AS (
           UPDATE session_leases SET ready_since = clock_timestamp() - next_order * interval '1 s', queued = 1, next_order = next_order + 1
           WHERE tenant_id = 'big' AND CASE WHEN session_id ~ '^[0-9]+$' THEN session_id::int BETWEEN ${first} AND ${first} + 19999 END RETURNING *)
         INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, accepted_at)
         SELECT tenant_id, '${name}-' || session_id, session_key, session_id, 'main', 'main', next_order, ready_since FROM ready`,
      );
      // A lane before the large one: the walk that began at the large one goes round to it, and ends there.
      await client.query(
        "INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane, queued, ready_since) VALUES ('a', 'agent:main:1', '1', 'shared', 'main', 1, clock_timestamp()) ON CONFLICT (tenant_id, session_key) DO UPDATE SET queued = 1, ready_since = excluded.ready_since",
      );
      const claimed = await plansOf(
        `SELECT * FROM claim_ready('w.1', '{other,shared}', ${BATCH}, '{"main": 1000}')`,
        [],
      );
      expect(claimed.rows).toHaveLength(BATCH);
      expect(scansIn(claimed.plans)).toEqual([]);
      const releases = claimed.rows.map((row) => {
        return { t: "big", s: row["session_key"], r: row["run_id"], tok: row["token"] };
      });
      await client.query("SELECT release_runs($1)", [JSON.stringify(releases)]);
      await client.query("DELETE FROM runs WHERE ended_at IS NULL AND run_id LIKE $1", [`${name}-%`]);
      await client.query(
        "UPDATE session_leases SET ready_since = NULL, queued = 0 WHERE ready_since IS NOT NULL",
      );
      await client.query("VACUUM session_leases");
    });
  },
);
