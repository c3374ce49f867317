import { join } from "node:path";

/** A server that a test started itself; the keeper ends it when the run is over. */
export interface Guarded {
  readonly pid: number;
  readonly identity: string;
}

/** What the keeper answers when PostgreSQL was wanted. */
export type SharedPostgres = { readonly url: string } | { readonly error: string };

/** Where a keeper and the test workers of its run meet. */
export const keeperFiles = (folder: string) => ({
  /** Made by whoever wants PostgreSQL. */
  postgresWanted: join(folder, "postgres-wanted"),
  /** A SharedPostgres as JSON, once it is there. */
  postgres: join(folder, "postgres.json"),
  postgresFolder: join(folder, "postgres"),
  /** One file for each server of a test: a Guarded as JSON, named by pid. */
  guarded: join(folder, "guarded"),
  /** A link to each folder whose processes are all to be ended. */
  guardedFolders: join(folder, "guarded-folders"),
  /** One folder for each server of a test. */
  stores: join(folder, "stores"),
  log: join(folder, "keeper.log"),
});
