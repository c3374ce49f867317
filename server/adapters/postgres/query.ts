import type pg from "pg";
import { translated } from "./errors.ts";

/**
 * Runs one statement outside of any tenant's scope and answers its rows.
 * @throws HAError as `translated` says; `doing` names the work in its message
 */
export type QueryRows = <Row extends pg.QueryResultRow>(
  doing: string,
  text: string,
  values: unknown[],
) => Promise<Row[]>;

/** `QueryRows` on any connection of a pool. */
export const rowsOf =
  (pool: pg.Pool): QueryRows =>
  <Row extends pg.QueryResultRow>(doing: string, text: string, values: unknown[]) =>
    translated(doing, async () => (await pool.query<Row>(text, values)).rows);
