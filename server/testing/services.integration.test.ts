import { Client } from "pg";
import { expect, it, onTestFinished } from "vitest";
import { startTestNats, startTestRedis, startTestS3, testPostgres } from "./services.ts";

async function names(url: string): Promise<string[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>("SELECT datname FROM pg_database");
  await client.end();
  return rows.map((row) => row.datname);
}

it("gives each caller a database of its own on one shared server, and drops it with connections open", async () => {
  const postgres = await testPostgres();
  const [first, second] = await Promise.all([
    postgres.createDatabase({ migrated: false }),
    postgres.createDatabase({ migrated: false }),
  ]);
  expect(first.name).not.toBe(second.name);
  expect(new URL(first.url).port).toBe(new URL(second.url).port);
  const idle = new Client({ connectionString: first.url });
  idle.on("error", () => {}); // it is cut off by the drop
  await idle.connect();
  await first.drop();
  await second.drop();
  expect(await names(postgres.url)).not.toContain(first.name);
});

it("clones the migrated schema from a template", async () => {
  const postgres = await testPostgres();
  const databases = await Promise.all([postgres.createDatabase(), postgres.createDatabase()]);
  for (const database of databases) {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query("SELECT tablename AS name FROM pg_tables WHERE tablename = 'runs'");
    expect(rows).toEqual([{ name: "runs" }]);
    await client.end();
    await database.drop();
  }
});

it.each([
  ["Redis", startTestRedis],
  ["NATS", startTestNats],
  ["S3", startTestS3],
])("%s comes back at its old address after a kill", async (_name, start) => {
  const store = await start({ own: true });
  onTestFinished(() => store.stop());
  const before = store.pid();
  await store.kill();
  await store.start();
  expect(store.pid()).not.toBe(before);
});
