import { afterAll, beforeAll } from "vitest";
import { subagentStoreContract } from "../../ports/contract/subagent-store.contract.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { type TestDatabase, testPostgres } from "../../testing/services.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
});

afterAll(() => database.drop());

subagentStoreContract("postgres", () => openPostgresStores(database));
