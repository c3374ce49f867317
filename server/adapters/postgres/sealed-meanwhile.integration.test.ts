import type pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newSession } from "../../ports/contract/session-record.contract.ts";
import { message, newKey, rowText, storeWorld } from "../../ports/contract/store-world.ts";
import type { SessionStore } from "../../ports/session-store.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { postgresPool } from "./pool.ts";
import { postgresSessionStore } from "./session-store.ts";

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  pool = postgresPool({ url: database.url, applicationName: "test" });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** The pool, with something that happens just before the first statement of that name. */
function interrupted(statement: string, meanwhile: () => Promise<unknown>): pg.Pool {
  let pending: (() => Promise<unknown>) | null = meanwhile;
  const connect = async (): Promise<unknown> => {
    const client = await pool.connect();
    const query = async (text: string, values?: unknown[]): Promise<unknown> => {
      const now = text.includes(statement) ? pending : null;
      if (now !== null) pending = null;
      await now?.();
      return client.query(text, values);
    };
    return {
      query,
      escapeLiteral: (text: string) => client.escapeLiteral(text),
      release: (error?: Error) => client.release(error),
    };
  };
  return { connect } as unknown as pg.Pool;
}

const reads: Record<
  string,
  (sessions: SessionStore, ...names: Parameters<SessionStore["get"]>) => Promise<unknown>
> = {
  "a page of history": async (sessions, tenant, key) => {
    const { rows, segments } = await sessions.history(tenant, key, { limit: 10 });
    return [rows.map(rowText), segments];
  },
  "the context of a run": async (sessions, tenant, key) => {
    const { rows, segments } = await sessions.context(tenant, key, 0);
    return [rows.map(rowText), segments];
  },
};

it.each(Object.keys(reads))(
  "%s is whole also where the archiver seals rows while it is read",
  async (name) => {
    const world = await storeWorld(() => openPostgresStores(database));
    const { tenant, sessions } = world;
    const key = newKey();
    await sessions.create(tenant, newSession(key));
    for (const text of ["one", "two", "three"]) await sessions.append(tenant, key, message(text));
    const segment = { firstSeq: 1, lastSeq: 2, object: { sha256: "e".repeat(64), bytes: 1 } };

    const reading = interrupted("sessions.rows", () => sessions.seal(tenant, key, segment));
    const store = postgresSessionStore({ pool: reading, random: seededRandom(1) });
    expect(await reads[name]!(store, tenant, key)).toEqual([["one", "two", "three"], []]);
    expect(await reads[name]!(sessions, tenant, key)).toEqual([["three"], [segment]]);
  },
);
