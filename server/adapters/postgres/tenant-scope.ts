import type pg from "pg";
import type { TenantId } from "../../core/ids.ts";
import { translated } from "./errors.ts";

/** Queries inside a transaction that row-level security confines to one tenant. */
export type TenantQuery = <Row extends pg.QueryResultRow>(
  text: string,
  values?: unknown[],
) => Promise<pg.QueryResult<Row>>;

/**
 * Runs `work` in a transaction of one tenant. The setting is local to it, so a pooled connection carries nothing over.
 */
export function inTenant<T>(
  pool: pg.Pool,
  tenant: TenantId,
  doing: string,
  work: (query: TenantQuery) => Promise<T>,
): Promise<T> {
  return scoped(pool, tenant, doing, "BEGIN", work);
}

/**
 * As `inTenant`, for reading only: all queries of `work` see the rows of one moment, whatever is committed meanwhile.
 * For answers that are put together from several queries.
 */
export function atOneMoment<T>(
  pool: pg.Pool,
  tenant: TenantId,
  doing: string,
  work: (query: TenantQuery) => Promise<T>,
): Promise<T> {
  return scoped(pool, tenant, doing, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work);
}

/**
 * As `inTenant` for a single statement that reads: beginning, statement and end are sent without waiting for one another.
 * For what clients ask for all the time.
 */
export function readOnce<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  tenant: TenantId,
  doing: string,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  return translated(doing, async () => {
    const client = await pool.connect();
    const { stream } = client.connection;
    stream.cork(); // one packet, one call of the kernel
    const begun = client.query(`BEGIN; ${scopeOf(client, tenant)}`);
    const read = client.query<Row>(text, values);
    const ended = client.query("COMMIT"); // rolls back where the statement failed
    stream.uncork();
    const [before, , after] = await Promise.allSettled([begun, read, ended]);
    const broken = [before, after].find((one) => one.status === "rejected");
    client.release(broken?.reason as Error | undefined);
    await Promise.all([begun, ended]);
    return (await read).rows;
  });
}

const scopeOf = (client: pg.PoolClient, tenant: TenantId): string =>
  `SET LOCAL openclaw_ha.tenant = ${client.escapeLiteral(tenant)}`;

function scoped<T>(
  pool: pg.Pool,
  tenant: TenantId,
  doing: string,
  begin: string,
  work: (query: TenantQuery) => Promise<T>,
): Promise<T> {
  return translated(doing, async () => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      // One simple-protocol message: begins and scopes in one round trip.
      await client.query(`${begin}; ${scopeOf(client, tenant)}`);
      const result = await work((text, values) => client.query(text, values));
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch((rollback: Error) => (broken = rollback));
      throw error;
    } finally {
      client.release(broken);
    }
  });
}
