import { randomBytes } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newSession } from "../../ports/contract/session-record.contract.ts";
import { message, newKey, rowText, storeWorld } from "../../ports/contract/store-world.ts";
import type { SessionStore } from "../../ports/session-store.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";
import { postgresPool } from "./pool.ts";
import { SEAL_MAX_BYTES } from "./seal.ts";
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

it("offers bodies to be moved only as many at once as a process can hold, and a larger one alone", async () => {
  const { tenant, sessions } = await storeWorld(() => openPostgresStores(database));
  const key = newKey();
  await sessions.create(tenant, newSession(key));
  // Random, so that the server cannot make them smaller.
  for (const share of [0.4, 0.5, 0.4, 1.5, 0.1]) {
    const bytes = Math.floor((SEAL_MAX_BYTES * share * 3) / 4);
    await sessions.append(tenant, key, message(randomBytes(bytes).toString("base64")));
  }
  const pages: number[][] = [];
  for (let calls = 0; calls < 10; calls++) {
    const offered = await sessions.largeBodies(20);
    if (offered.length === 0) break;
    pages.push(offered.map(({ seq }) => seq));
    for (const { seq } of offered)
      await sessions.moveBody(tenant, key, seq, { sha256: "a".repeat(64), bytes: 1 });
  }
  expect(pages).toEqual([[1, 2], [3], [4], [5]]);
});

it("offers of large bodies only as many at once as a process can hold, and the rest afterwards", async () => {
  const { tenant, sessions, accept, worker, claim, checkpoint } = await storeWorld(() =>
    openPostgresStores(database),
  );
  // As they lie in the rows after object storage was away; random, so that the server cannot make them smaller.
  const large = () => message(randomBytes(48 * 1024).toString("base64"));
  const keys = [newKey("a"), newKey("b")];
  for (const key of keys) {
    await accept(key);
    const grant = await claim(await worker(), key);
    for (let no = 1; no <= 3; no++) {
      await checkpoint(grant, no, { messages: Array.from({ length: 60 }, large) });
    }
  }
  const moved = new Map(keys.map((key) => [key, 0]));
  for (let calls = 0; calls < 20; calls++) {
    const offered = await sessions.sealCandidates(100, 20);
    if (offered.length === 0) break;
    expect(JSON.stringify(offered).length).toBeLessThan(SEAL_MAX_BYTES + 1_000_000);
    for (const { sessionKey, rows } of offered) {
      expect(rows[0]!.seq).toBe(moved.get(sessionKey)! + 1);
      const lastSeq = rows.at(-1)!.seq;
      const object = { sha256: "e".repeat(64), bytes: 1 };
      await sessions.seal(tenant, sessionKey, { firstSeq: rows[0]!.seq, lastSeq, object });
      moved.set(sessionKey, lastSeq);
    }
  }
  // Until no tail is longer than asked for.
  for (const lastSeq of moved.values()) expect(181 - lastSeq).toBeLessThanOrEqual(100);
});
