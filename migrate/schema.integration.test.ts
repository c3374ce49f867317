import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { testPostgres } from "../server/testing/services.ts";
import { loadMigrations, migrate, type Migration, schemaRevision } from "./schema.ts";

async function emptyDatabase(): Promise<{ url: string; client: Client }> {
  const database = await (await testPostgres()).createDatabase({ migrated: false });
  const client = new Client({ connectionString: database.url });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await database.drop();
  });
  return { url: database.url, client };
}

const step = (revision: number, sql: string): Migration => ({ revision, name: `step_${revision}`, sql });

describe("migrate", () => {
  it("brings an empty database to this release's revision, and does nothing the second time", async () => {
    const { url, client } = await emptyDatabase();
    const all = await loadMigrations();
    expect(await schemaRevision(client)).toBe(0);
    const first = await migrate({ connectionString: url });
    expect(first).toEqual({ revision: all.length, applied: all.map(({ revision }) => revision) });
    expect(await migrate({ connectionString: url })).toEqual({ revision: all.length, applied: [] });
    expect(await schemaRevision(client)).toBe(all.length);
  });

  it("numbers its files from 1 without a gap, each with a header that says what it locks", async () => {
    const all = await loadMigrations();
    expect(all.map(({ revision }) => revision)).toEqual(all.map((_, index) => index + 1));
    for (const { sql } of all) expect(sql).toMatch(/^-- [\s\S]*compatible: [\s\S]*lock: /);
  });

  it("applies each migration once, however many processes start at the same moment", async () => {
    const { url, client } = await emptyDatabase();
    const migrations = [
      step(1, "CREATE TABLE t (n integer)"),
      step(2, "INSERT INTO t VALUES (1); SELECT pg_sleep(0.1)"),
    ];
    const reports = await Promise.all(
      Array.from({ length: 4 }, () => migrate({ connectionString: url, migrations })),
    );
    expect(reports.flatMap(({ applied }) => applied).toSorted((a, b) => a - b)).toEqual([1, 2]);
    expect((await client.query("SELECT * FROM openclaw_ha.t")).rows).toEqual([{ n: 1 }]);
  });

  it("serves a release that a compatible migration came after, and changes nothing", async () => {
    const { url, client } = await emptyDatabase();
    const first = step(1, "CREATE TABLE t (n integer)");
    const compatible = step(2, "-- Why.\n--   compatible: yes\n--   lock: none\nSELECT 1");
    await migrate({ connectionString: url, migrations: [first, compatible] });
    expect(await migrate({ connectionString: url, migrations: [first] })).toEqual({
      revision: 2,
      applied: [],
    });
    await migrate({
      connectionString: url,
      migrations: [first, compatible, step(3, "-- compatible: no\nSELECT 1")],
    });
    await expect(migrate({ connectionString: url, migrations: [first] })).rejects.toMatchObject({
      code: "SCHEMA_NEWER",
    });
    expect(await schemaRevision(client)).toBe(3);
  });

  it("leaves a database that a newer release has migrated as it is", async () => {
    const { url, client } = await emptyDatabase();
    await migrate({
      connectionString: url,
      migrations: [step(1, "CREATE TABLE t (n integer)"), step(2, "SELECT 1")],
    });
    const older = migrate({ connectionString: url, migrations: [step(1, "DROP TABLE t")] });
    await expect(older).rejects.toMatchObject({ code: "SCHEMA_NEWER", details: { present: 2, newest: 1 } });
    expect(await schemaRevision(client)).toBe(2);
  });

  it("stays at the last whole revision when it fails or is cut in the middle of one, and goes on from there", async () => {
    const { url, client } = await emptyDatabase();
    const good = step(1, "CREATE TABLE t (n integer)");
    const broken = migrate({
      connectionString: url,
      migrations: [good, step(2, "INSERT INTO t VALUES (1); SELECT 1 / 0")],
    });
    await expect(broken).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(await schemaRevision(client)).toBe(1);

    const cut = migrate({
      connectionString: url,
      migrations: [good, step(2, "INSERT INTO t VALUES (1); SELECT pg_sleep(60)")],
    });
    const cutOff = cut.catch((error: unknown) => error);
    await client.query(`DO $$ BEGIN
      WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()) LOOP PERFORM pg_sleep(0.02); PERFORM pg_stat_clear_snapshot(); END LOOP;
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid() AND datname = current_database();
    END $$`);
    expect(await cutOff).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(await schemaRevision(client)).toBe(1);

    expect(
      await migrate({ connectionString: url, migrations: [good, step(2, "INSERT INTO t VALUES (2)")] }),
    ).toMatchObject({ applied: [2] });
    expect((await client.query("SELECT * FROM openclaw_ha.t")).rows).toEqual([{ n: 2 }]);
  });

  it("says what to do where the server is not there", async () => {
    const nowhere = migrate({ connectionString: "postgres://x@127.0.0.1:1/x" });
    await expect(nowhere).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });
});
