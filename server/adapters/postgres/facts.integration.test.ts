import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadMigrations } from "../../../migrate/schema.ts";
import { testPostgres } from "../../testing/services.ts";
import { locksAreSessions, postgresFacts } from "./facts.ts";

async function database(migrated: boolean): Promise<string> {
  const made = await (await testPostgres()).createDatabase({ migrated });
  onTestFinished(() => made.drop());
  return made.url;
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe("postgresFacts", () => {
  it("tells version, schema, clock and locks of a migrated database", async () => {
    const revision = (await loadMigrations()).at(-1)?.revision;
    const facts = await postgresFacts(await database(true));
    expect(facts).toMatchObject({
      version: expect.stringMatching(/^\d+(\.\d+)?/),
      schemaRevision: revision,
      releaseRevision: revision,
      sessionLocks: true,
      inRecovery: false,
    });
    expect(Math.abs(facts.clockSkewMs)).toBeLessThan(1_000);
  });

  it("tells that a database was never migrated", async () => {
    expect(await postgresFacts(await database(false))).toMatchObject({ schemaRevision: 0 });
  });

  it("measures the skew against the clock that it is given", async () => {
    const { clockSkewMs } = await postgresFacts(await database(false), () => Date.now() - 60_000);
    expect(Math.round(clockSkewMs / 1_000)).toBe(60);
  });

  it("says STORE_UNAVAILABLE for a server that does not answer and CONFIG_INVALID for a wrong password", async () => {
    await expect(postgresFacts("postgres://x@127.0.0.1:1/x")).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    const url = new URL(await database(false));
    url.pathname = "/no_such_database";
    await expect(postgresFacts(url.href)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("locksAreSessions", () => {
  it("is not fooled by two clients that share one server connection, as behind a transaction pooler", async () => {
    const url = await database(false);
    const [one, other] = [await connected(url), await connected(url)];
    expect(await locksAreSessions(one, other)).toBe(true);
    expect(await locksAreSessions(one, one)).toBe(false);
  });

  it("leaves no lock behind", async () => {
    const url = await database(false);
    const [one, other] = [await connected(url), await connected(url)];
    await locksAreSessions(one, other);
    await locksAreSessions(one, one);
    const { rows } = await one.query(
      "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND datname = current_database()",
    );
    expect(rows).toEqual([]);
  });
});
