import { afterAll, beforeAll, describe } from "vitest";
import { ledgerMergeLimitContract } from "../../ports/contract/ledger-queue-modes.contract.ts";
import { runLedgerContract } from "../../ports/contract/run-ledger.contract.ts";
import { openPostgresStores } from "../../testing/postgres-stores.ts";
import { testPostgres, type TestDatabase } from "../../testing/services.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase();
});

afterAll(() => database.drop());

runLedgerContract("postgres", () => openPostgresStores(database), { seeds: [1, 2, 3], steps: 150 });

describe("PostgreSQL run ledger", () => {
  ledgerMergeLimitContract(() => openPostgresStores(database, 100));
});
