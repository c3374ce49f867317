import { LIMIT_NAMES, type TenantLimits } from "../../server/core/tenant-limits.ts";
import type { TenantRecord, TokenRecord } from "../../server/ports/directory.ts";
import { isoTime } from "../runs/run-rows.ts";
import { textTable } from "../text-table.ts";

/** A tenant as `tenant list --json` prints it: names are a contract. */
export const tenantRow = ({ createdAt, ...tenant }: TenantRecord) => ({
  id: tenant.id,
  pool: tenant.pool,
  disabled: tenant.disabled,
  createdAt: isoTime(createdAt),
  /** What is said of this tenant, and what holds for it with the deployment's defaults. */
  limits: tenant.limits,
  effectiveLimits: tenant.effectiveLimits,
});
export type TenantRow = ReturnType<typeof tenantRow>;

/** A token as `tenant token list --json` prints it. */
export const tokenRow = ({ createdAt, id, label, revokedAt, scopes }: TokenRecord) => ({
  id,
  label,
  scopes,
  createdAt: isoTime(createdAt),
  revokedAt: revokedAt === null ? null : isoTime(revokedAt),
});
export type TokenRow = ReturnType<typeof tokenRow>;

export const limitsText = (limits: TenantLimits): string =>
  LIMIT_NAMES.filter((name) => limits[name] !== undefined)
    .map((name) => `${name} ${limits[name]}`)
    .join(", ") || "none";

/** Characters of a token's id that people need to name it. */
const ID_SHOWN = 12;

export const tokensText = (rows: readonly TokenRow[]): string =>
  rows.length === 0
    ? "no tokens"
    : textTable(
        ["TOKEN", "LABEL", "SCOPES", "CREATED", "REVOKED"],
        rows.map(({ id, label, scopes, createdAt, revokedAt }) => [
          id.slice(0, ID_SHOWN),
          label,
          scopes.join(","),
          createdAt,
          revokedAt ?? "-",
        ]),
      );
