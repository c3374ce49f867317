import { Client } from "pg";
import { postgresCronStore } from "../adapters/postgres/cron-store.ts";
import { postgresPool } from "../adapters/postgres/pool.ts";
import { postgresRunLedger, workerLockKey } from "../adapters/postgres/run-ledger.ts";
import { postgresSessionStore } from "../adapters/postgres/session-store.ts";
import { postgresSubagentStore } from "../adapters/postgres/subagent-store.ts";
import { postgresTenantDirectory } from "../adapters/postgres/tenant-directory.ts";
import type { StoreFixture } from "../ports/contract/store-fixture.ts";
import { seededRandom } from "./seeded-random.ts";
import type { TestDatabase } from "./services.ts";

const MAX_QUEUED = 20;

/** Everything that the database stamped: made older by `d`, time passes without waiting. */
const STAMPS: Readonly<Record<string, readonly string[]>> = {
  workers: ["heartbeat_at", "started_at", "lock_free_since"],
  session_leases: ["ready_since"],
  sessions: ["updated_at", "created_at"],
  runs: ["accepted_at", "started_at", "ended_at"],
  idempotency_records: ["created_at"],
  cron_jobs: ["created_at", "updated_at", "next_run_at", "running_since", "last_run_at"],
  cron_runs: ["fired_at", "scheduled_at"],
  control_leases: ["expires_at"],
  tenant_storage: ["measured_at"],
};

/** The stores of one migrated database, as the application's role sees them, for the contract suites. */
export async function openPostgresStores(
  database: TestDatabase,
  maxQueuedPerSession = MAX_QUEUED,
): Promise<StoreFixture> {
  const operator = postgresPool({
    url: database.url,
    applicationName: "test-operator",
    role: null,
    maxConnections: 2,
  });
  const pool = postgresPool({ url: database.url, applicationName: "test" });
  const asOperator = postgresTenantDirectory({ pool: operator });
  const asApplication = postgresTenantDirectory({ pool });
  const processes = new Set<Client>();
  return {
    ledger: postgresRunLedger({ pool, maxQueuedPerSession }),
    sessions: postgresSessionStore({ pool, random: seededRandom(1) }),
    cron: postgresCronStore({ pool, maxQueuedPerSession: MAX_QUEUED }),
    subagents: postgresSubagentStore({ pool, maxQueuedPerSession: MAX_QUEUED }),
    directory: {
      ...asApplication,
      addTenant: (id, tenantPool) => asOperator.addTenant(id, tenantPool),
      ensureTenants: (tenants) => asOperator.ensureTenants(tenants),
      addToken: (tenant, token, scopes, label) => asOperator.addToken(tenant, token, scopes, label),
      replaceToken: (tenant, token, scopes, label) => asOperator.replaceToken(tenant, token, scopes, label),
      setDisabled: (tenant, disabled) => asOperator.setDisabled(tenant, disabled),
      setLimits: (tenant, limits) => asOperator.setLimits(tenant, limits),
      setDefaultLimits: (limits) => asOperator.setDefaultLimits(limits),
      usage: (tenant) => asOperator.usage(tenant),
      moveTenant: (tenant, to) => asOperator.moveTenant(tenant, to),
      tokens: (tenant) => asOperator.tokens(tenant),
      revokeTokens: (tenant, which) => asOperator.revokeTokens(tenant, which),
      removeTenant: (tenant) => asOperator.removeTenant(tenant),
    },
    maxQueuedPerSession,
    async passTime(ms) {
      for (const [table, columns] of Object.entries(STAMPS)) {
        const older = columns
          .map((column) => `${column} = ${column} - interval '${ms} milliseconds'`)
          .join(", ");
        // The table lock waits for calls on their way and then holds nothing that another one could wait for in turn.
        await operator.query(
          `BEGIN; LOCK TABLE openclaw_ha.${table} IN EXCLUSIVE MODE; UPDATE openclaw_ha.${table} SET ${older}; COMMIT`,
        );
      }
    },
    async startProcess(worker) {
      const client = new Client({ connectionString: database.url });
      client.on("error", () => {});
      await client.connect();
      processes.add(client);
      await client.query("SELECT pg_advisory_lock($1)", [workerLockKey(worker)]);
      return {
        async crash() {
          processes.delete(client);
          await client.end();
        },
      };
    },
    async close() {
      await Promise.all([...processes].map((client) => client.end()));
      await Promise.all([pool.end(), operator.end()]);
    },
  };
}
