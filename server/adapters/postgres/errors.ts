import { type ErrorCode, HAError } from "../../core/errors.ts";
import { isLimitReason, limitReached } from "../../core/tenant-limits.ts";

/**
 * SQLSTATEs that mean something other than "the store cannot do it now".
 * Source: PostgreSQL manual, appendix A; HA001 to HA004 are raised by our own functions; the message of HA003 is
 * the limit that was reached.
 */
const BY_SQLSTATE: Readonly<Record<string, ErrorCode>> = {
  HA001: "LEASE_LOST",
  HA002: "TRANSITION_INVALID",
  HA004: "REQUEST_CONFLICT",
  "28P01": "CONFIG_INVALID", // wrong password
  "28000": "CONFIG_INVALID",
  "3D000": "CONFIG_INVALID", // no such database
  "42883": "CONFIG_INVALID", // no such function: not migrated
  "42P01": "CONFIG_INVALID",
  "3F000": "CONFIG_INVALID",
  "22P02": "REQUEST_INVALID",
  "22P05": "REQUEST_INVALID",
  "22021": "REQUEST_INVALID",
  "23503": "NOT_FOUND", // refers to a tenant that is not there
  "42501": "FORBIDDEN", // row-level security or a missing grant
};

/** Classes that pass by themselves: connection, resources, operator intervention, rollback, read-only after a failover. */
const AWAY = /^(08|53|57|58|40|25006|55P03)/;

/** What a driver error means to us. The message of the driver is kept; it never holds parameters. */
export function postgresError(error: unknown, doing: string): HAError {
  if (error instanceof HAError) return error;
  const { code, message } = error as { code?: string; message?: string };
  const sqlState = code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
  if (sqlState === "HA003" && message !== undefined && isLimitReason(message)) return limitReached(message);
  const known = sqlState === undefined ? undefined : BY_SQLSTATE[sqlState];
  if (known !== undefined) {
    return new HAError(known, message ?? sqlState ?? "", { doing, sqlState }, { cause: error });
  }
  if (sqlState === undefined || AWAY.test(sqlState)) {
    return new HAError(
      "STORE_UNAVAILABLE",
      `PostgreSQL is not available: ${message ?? "no answer"}`,
      { doing, sqlState },
      { cause: error },
    );
  }
  return new HAError(
    "INTERNAL",
    `PostgreSQL refused to ${doing}: ${message}`,
    { doing, sqlState },
    { cause: error },
  );
}

/** Runs a call to PostgreSQL and translates what it throws. */
export async function translated<T>(doing: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw postgresError(error, doing);
  }
}
