import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Client, escapeLiteral, type Pool } from "pg";
import { HAError } from "../server/core/errors.ts";

/** Roles and schema of openclaw-ha in a database; they are part of the contract with operators. */
export const OWNER_ROLE = "openclaw_ha_owner";
export const APP_ROLE = "openclaw_ha_app";
export const SCHEMA = "openclaw_ha";

/** Two processes that migrate at once take turns under this session advisory lock. */
const LOCK_KEY = "openclaw_ha.migrate";
const SQL_FOLDER = fileURLToPath(new URL("./sql/", import.meta.url));
const FILE_NAME = /^(\d{6})_([a-z0-9_]+)\.sql$/;

export interface Migration {
  readonly revision: number;
  readonly name: string;
  readonly sql: string;
}

export interface MigrateOptions {
  /** A role that may create roles and schemas: the superuser of an embedded server, or the owner of a given one. */
  readonly connectionString: string;
  /** Lets the application's role log in with this password; without it the role can only be set. */
  readonly appPassword?: string;
  /** Told before each migration is applied. */
  readonly onProgress?: (migration: Migration) => void;
  /** Another set of migrations, for tests. */
  readonly migrations?: readonly Migration[];
}

export interface MigrateReport {
  /** Revision of the database after the call. */
  readonly revision: number;
  readonly applied: readonly number[];
}

/** The migrations of this release, in order. A released file is never edited. */
export async function loadMigrations(): Promise<Migration[]> {
  const migrations: Migration[] = [];
  for (const file of (await readdir(SQL_FOLDER)).sort()) {
    const match = FILE_NAME.exec(file);
    if (!match) continue;
    migrations.push({
      revision: Number(match[1]),
      name: match[2] ?? "",
      sql: await readFile(SQL_FOLDER + file, "utf8"),
    });
  }
  return migrations;
}

/**
 * Brings a database to this release's revision. Each migration is one transaction together with the row that says it
 * was applied; a process killed in between leaves the database at the last whole revision.
 * A database that a newer release has migrated is left as it is, and serves this one as long as each newer migration
 * says in its header that it does: so an upgrade can be undone.
 * @throws HAError SCHEMA_NEWER when one of them says otherwise
 * @throws HAError STORE_UNAVAILABLE when the server cannot be reached, CONFIG_INVALID when it refuses the role
 */
export async function migrate(options: MigrateOptions): Promise<MigrateReport> {
  const migrations = options.migrations ?? (await loadMigrations());
  const client = new Client({
    connectionString: options.connectionString,
    connectionTimeoutMillis: 10_000,
  });
  client.on("error", () => {}); // a lost connection shows in the pending query
  try {
    await client.connect();
    await client.query("SELECT pg_advisory_lock(hashtextextended($1, 0))", [LOCK_KEY]);
    await prepareRoles(client, options.appPassword);
    return await applyPending(client, migrations, options.onProgress);
  } catch (error) {
    throw asMigrateError(error);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Revision of a database: 0 when it has never been migrated. Reads only. */
export async function schemaRevision(client: Client | Pool): Promise<number> {
  const { rows } = await client.query<{ found: boolean }>(
    "SELECT to_regclass('openclaw_ha.schema_revisions') IS NOT NULL AS found",
  );
  if (!rows[0]?.found) return 0;
  const result = await client.query<{ revision: number | null }>(
    "SELECT max(revision)::int AS revision FROM openclaw_ha.schema_revisions",
  );
  return result.rows[0]?.revision ?? 0;
}

/** Roles belong to the whole server: two databases migrated at once may both try to create them. */
async function prepareRoles(client: Client, appPassword: string | undefined): Promise<void> {
  for (const role of [OWNER_ROLE, APP_ROLE]) {
    await untilNotRaced(() =>
      client.query(`DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN CREATE ROLE ${role} NOLOGIN; END IF;
        IF NOT pg_has_role(current_user, '${role}', 'MEMBER') THEN EXECUTE format('GRANT ${role} TO %I', current_user); END IF;
      END $$`),
    );
  }
  if (appPassword !== undefined) {
    const password = escapeLiteral(appPassword);
    await untilNotRaced(() => client.query(`ALTER ROLE ${APP_ROLE} LOGIN PASSWORD ${password}`));
  }
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA} AUTHORIZATION ${OWNER_ROLE}`);
}

/** How a migration's header says that the release before it can run beside it. */
const COMPATIBLE = /^-- +compatible: yes/m;

/** Whether a release that knows revisions up to this one can work on the database. */
async function areCompatible(client: Client, newest: number): Promise<boolean> {
  const { rows } = await client.query<{ compatible: boolean | null }>(
    `SELECT bool_and(compatible) AS compatible FROM ${SCHEMA}.schema_revisions WHERE revision > $1`,
    [newest],
  );
  return rows[0]?.compatible === true;
}

async function applyPending(
  client: Client,
  migrations: readonly Migration[],
  onProgress: MigrateOptions["onProgress"],
): Promise<MigrateReport> {
  await client.query(`CREATE TABLE IF NOT EXISTS ${SCHEMA}.schema_revisions (
    revision integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
  await client.query(
    `ALTER TABLE ${SCHEMA}.schema_revisions ADD COLUMN IF NOT EXISTS compatible boolean NOT NULL DEFAULT false`,
  );
  await client.query(`GRANT USAGE ON SCHEMA ${SCHEMA} TO ${APP_ROLE}`);
  await client.query(`GRANT SELECT ON ${SCHEMA}.schema_revisions TO ${APP_ROLE}`);
  const present = await schemaRevision(client);
  const newest = migrations.at(-1)?.revision ?? 0;
  if (present > newest) {
    if (await areCompatible(client, newest)) return { revision: present, applied: [] };
    throw new HAError(
      "SCHEMA_NEWER",
      `the database is at revision ${present}, this release knows ${newest}: run a release at least as new as the one that migrated it`,
      { present, newest },
    );
  }
  const applied: number[] = [];
  for (const migration of migrations) {
    if (migration.revision <= present) continue;
    onProgress?.(migration);
    await client.query("BEGIN");
    await client.query(`SET LOCAL ROLE ${OWNER_ROLE}`);
    await client.query(`SET LOCAL search_path = ${SCHEMA}`);
    await client.query(migration.sql);
    await client.query("RESET ROLE");
    await client.query(
      `INSERT INTO ${SCHEMA}.schema_revisions (revision, name, compatible) VALUES ($1, $2, $3)`,
      [migration.revision, migration.name, COMPATIBLE.test(migration.sql)],
    );
    await client.query("COMMIT");
    applied.push(migration.revision);
  }
  return { revision: Math.max(present, newest), applied };
}

/** Repeats what failed only because another database's migration touched the same role at the same moment. */
async function untilNotRaced(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      const code = (error as { code?: string }).code;
      const raced = code === "42710" || code === "23505" || code === "XX000"; // exists already, or "tuple concurrently updated"
      if (!raced || attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 * attempt));
    }
  }
}

function asMigrateError(error: unknown): HAError {
  if (error instanceof HAError) return error;
  const { code, message } = error as { code?: string; message: string };
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith("08") || code.startsWith("57P")) {
    return new HAError(
      "STORE_UNAVAILABLE",
      `PostgreSQL cannot be reached to migrate it: ${message}`,
      {},
      { cause: error },
    );
  }
  return new HAError(
    "CONFIG_INVALID",
    `the database cannot be migrated: ${message}`,
    { sqlState: code },
    { cause: error },
  );
}
