import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";

/** A database of one test file. */
export interface TestDatabase {
  readonly name: string;
  /** As superuser. */
  readonly url: string;
  /** Removes it, also while connections to it are open. */
  drop(): Promise<void>;
}

export interface TestPostgres {
  /** Of the maintenance database `postgres`, as superuser. */
  readonly url: string;
  /** A fresh database with the current schema, or an empty one. Takes some 50 ms: the schema is cloned, not migrated. */
  createDatabase(options?: { readonly migrated?: boolean }): Promise<TestDatabase>;
}

type Migrate = (options: { readonly connectionString: string }) => Promise<unknown>;

const MIGRATIONS = new URL("../../migrate/", import.meta.url);

/** Key of the advisory lock under which templates are made; any number that nobody else uses. */
const TEMPLATE_LOCK = 7_300_418;

/** Databases of the server at `url`. */
export function testDatabases(url: string): TestPostgres {
  return {
    url,
    async createDatabase(options = {}) {
      const name = `test_${randomBytes(6).toString("hex")}`;
      const template = options.migrated === false ? "template1" : await migratedTemplate(url);
      await withClient(url, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
      return {
        name,
        url: inDatabase(url, name),
        async drop() {
          await withClient(url, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
        },
      };
    },
  };
}

/**
 * Name of a migrated database to clone, made by the first who asks. Its name is made of the migrations' content, so an
 * edited migration gets a new one; it is marked as a template when it is complete.
 */
async function migratedTemplate(url: string): Promise<string> {
  const name = `openclaw_ha_template_${await migrationsHash()}`;
  await withClient(url, async (client) => {
    await client.query("SELECT pg_advisory_lock($1)", [TEMPLATE_LOCK]);
    const { rows } = await client.query<{ complete: boolean }>(
      "SELECT datistemplate AS complete FROM pg_database WHERE datname = $1",
      [name],
    );
    if (rows[0]?.complete === true) return;
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name}`);
    const { migrate } = (await import(new URL("schema.ts", MIGRATIONS).href)) as { migrate: Migrate };
    await migrate({ connectionString: inDatabase(url, name) });
    await client.query(`ALTER DATABASE ${name} IS_TEMPLATE true`);
  });
  return name;
}

async function migrationsHash(): Promise<string> {
  const sql = new URL("sql/", MIGRATIONS);
  const names = existsSync(fileURLToPath(sql)) ? (await readdir(sql)).sort() : [];
  const hash = createHash("sha256").update(await readFile(new URL("schema.ts", MIGRATIONS)));
  for (const name of names) hash.update(name).update(await readFile(new URL(name, sql)));
  return hash.digest("hex").slice(0, 16);
}

function inDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

/** The connection's end gives its advisory locks back. */
async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
