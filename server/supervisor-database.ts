import { migrate } from "../migrate/schema.ts";
import { postgresPool } from "./adapters/postgres/pool.ts";
import { postgresRunLedger } from "./adapters/postgres/run-ledger.ts";
import { postgresScalingStore } from "./adapters/postgres/scaling-store.ts";
import { postgresTenantDirectory } from "./adapters/postgres/tenant-directory.ts";
import { tenantId } from "./core/ids.ts";
import type { SupervisorDatabase } from "./supervisor/contract.ts";

/** The tenant of a deployment that knows only one, and the rights of its operator. */
const DEFAULT_TENANT = tenantId("default");
const OPERATOR_SCOPES = ["operator.admin"];

/** Decisions of a pool that `status` tells of. */
const DECISIONS = 5;

/** Rows of a list that a screen or a report has room for. */
const SHOWN = 100;

/** As control reads them: what is older is not running any more, or hangs. */
const LOAD_MAX_AGE_MS = 7_000;

const STANDBY_LAG = `/* supervisor.standby_lag */
  SELECT floor(extract(epoch FROM max(replay_lag)) * 1000)::float8 AS lag_ms FROM pg_stat_replication`;

/** What the supervisor does with the database, on PostgreSQL. One small pool, opened at the first observation. */
export function supervisorDatabase(): SupervisorDatabase {
  let observing: { readonly url: string; readonly pool: ReturnType<typeof postgresPool> } | null = null;

  async function observer(url: string): Promise<ReturnType<typeof postgresPool>> {
    if (observing?.url === url) return observing.pool;
    await observing?.pool.end();
    observing = { url, pool: postgresPool({ url, applicationName: "supervisor", maxConnections: 1 }) };
    return observing.pool;
  }

  return {
    async migrate({ adminUrl, appPassword, onProgress }) {
      await migrate({
        connectionString: adminUrl,
        appPassword: appPassword ?? undefined,
        onProgress: ({ revision, name }) => onProgress(`migration ${revision}: ${name.replaceAll("_", " ")}`),
      });
    },

    async prepareTenant({ url, token }) {
      const pool = postgresPool({ url, applicationName: "supervisor", maxConnections: 1, role: null });
      try {
        const directory = postgresTenantDirectory({ pool });
        await directory.addTenant(DEFAULT_TENANT, "shared");
        await directory.replaceToken(DEFAULT_TENANT, token, OPERATOR_SCOPES, "operator");
      } finally {
        await pool.end();
      }
    },

    async ensureTenants({ limits, tenants, url }) {
      const pool = postgresPool({ url, applicationName: "supervisor", maxConnections: 1, role: null });
      try {
        const directory = postgresTenantDirectory({ pool });
        if (limits !== undefined) await directory.setDefaultLimits(limits);
        const added = await directory.ensureTenants(
          tenants.map(({ id, ...tenant }) => ({ ...tenant, id: tenantId(id) })),
        );
        const wanted = new Map(tenants.map(({ id, pool: of }) => [id, of]));
        const known = await directory.tenants();
        const elsewhere = known.filter(({ id, pool: of }) => (wanted.get(id) ?? of) !== of);
        return { added, elsewhere: elsewhere.map(({ id, pool: of }) => ({ id, pool: of })) };
      } finally {
        await pool.end();
      }
    },

    async saveSizes({ url, wishes }) {
      const pool = postgresPool({ url, applicationName: "supervisor", maxConnections: 1, role: null });
      try {
        const scaling = postgresScalingStore({ pool });
        for (const { pool: of, ...wish } of wishes) await scaling.setSize(of, wish);
      } finally {
        await pool.end();
      }
    },

    async observe({ url }) {
      const pool = await observer(url);
      const [tenants, queue, sizes] = await Promise.all([
        postgresTenantDirectory({ pool }).tenants(),
        postgresRunLedger({ pool }).backlog(),
        postgresScalingStore({ pool }).sizes(DECISIONS),
      ]);
      return {
        tenants: tenants.map(({ id, pool: of, disabled }) => ({
          id,
          pool: of,
          ...(disabled ? { disabled } : {}),
        })),
        queue,
        sizes: sizes.map(({ pool: of, desired, decisions }) => ({
          pool: of,
          desired,
          decisions: [...decisions],
        })),
      };
    },

    async activity({ url }) {
      const pool = await observer(url);
      const ledger = postgresRunLedger({ pool });
      // One connection: what is timed waits for nothing else.
      const started = performance.now();
      const { rows } = await pool.query<{ lag_ms: number | null }>(STANDBY_LAG);
      const latencyMs = Math.round((performance.now() - started) * 10) / 10;
      const [report, lanes, running, failures] = await Promise.all([
        postgresScalingStore({ pool }).observe(LOAD_MAX_AGE_MS),
        ledger.lanes(SHOWN),
        ledger.running(SHOWN),
        ledger.failures(SHOWN),
      ]);
      const lagMs = rows[0]?.lag_ms ?? null;
      return { loads: report.loads, lanes, running, failures, latencyMs, lagMs };
    },

    async close() {
      await observing?.pool.end();
      observing = null;
    },
  };
}
