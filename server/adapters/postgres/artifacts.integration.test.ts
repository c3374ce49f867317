import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storeWorld } from "../../ports/contract/store-world.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
  client = new Client({ connectionString: database.url, options: "-c search_path=openclaw_ha" });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

describe("noteObjects", () => {
  it("records each object of a tenant once, also one that is known already", async () => {
    const { sessions, tenant } = await storeWorld(() => openPostgresStores(database));
    const [a, b] = [
      { sha256: "a".repeat(64), bytes: 1 },
      { sha256: "b".repeat(64), bytes: 2 },
    ];
    await sessions.noteObjects(tenant, "attachment", [b, a, a]);
    await sessions.noteObjects(tenant, "attachment", [b]);
    const { rows } = await client.query(
      "SELECT sha256, bytes::int, kind FROM artifacts WHERE tenant_id = $1 ORDER BY sha256",
      [tenant],
    );
    expect(rows).toEqual([
      { ...a, kind: "attachment" },
      { ...b, kind: "attachment" },
    ]);
  });
});
