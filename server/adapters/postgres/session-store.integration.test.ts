import { afterAll, beforeAll } from "vitest";
import { sessionStoreContract } from "../../ports/contract/session-store.contract.ts";
import { tenantDirectoryContract } from "../../ports/contract/tenant-directory.contract.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
});

afterAll(() => database.drop());

sessionStoreContract("postgres", () => openPostgresStores(database));
tenantDirectoryContract("postgres", () => openPostgresStores(database));
