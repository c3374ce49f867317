import { afterAll, beforeAll } from "vitest";
import { cronStoreContract } from "../../ports/contract/cron-store.contract.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { type TestDatabase, testPostgres } from "../../testing/services.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
});

afterAll(() => database.drop());

cronStoreContract("postgres", () => openPostgresStores(database));
