import { nearestName } from "../core/nearest-name.ts";
import { SCALED_POOLS } from "../core/scaling.ts";
import { isRecord } from "../openclaw-config/read-document.ts";
import type { Problem } from "./issues.ts";
import { SHARED_POOL } from "./schema.ts";

/**
 * What no key alone tells: names that refer to nothing, names given twice, limits that exclude each other. Looks at the
 * file as it was written, so that it finds them also where something else is wrong.
 */
export function contradictions(value: unknown): Problem[] {
  if (!isRecord(value)) return [];
  const pools = isRecord(value["pools"]) ? value["pools"] : {};
  return [...poolBounds(pools), ...poolNames(pools), ...tenants(value["tenants"], pools)];
}

function poolBounds(pools: Readonly<Record<string, unknown>>): Problem[] {
  return SCALED_POOLS.flatMap((pool) => {
    const said = isRecord(pools[pool]) ? pools[pool] : {};
    const { max, min } = said;
    if (typeof min !== "number" || typeof max !== "number" || min <= max) return [];
    return [{ key: ["pools", pool, "min"], message: `${min} is above max, which is ${max}` }];
  });
}

const poolNames = ({ dedicated }: Readonly<Record<string, unknown>>): Problem[] =>
  isRecord(dedicated) && dedicated[SHARED_POOL] !== undefined
    ? [
        {
          key: ["pools", "dedicated", SHARED_POOL],
          message: "is the pool of all tenants that name none; its size is pools.worker",
        },
      ]
    : [];

function tenants(listed: unknown, { dedicated }: Readonly<Record<string, unknown>>): Problem[] {
  if (!Array.isArray(listed)) return [];
  const pools = [...new Set([SHARED_POOL, ...(isRecord(dedicated) ? Object.keys(dedicated) : [])])];
  const seen = new Map<string, number>();
  return listed.flatMap((tenant: unknown, index): Problem[] => {
    const { id, pool } = isRecord(tenant) ? tenant : { id: tenant, pool: undefined };
    const key = isRecord(tenant) ? ["tenants", index, "id"] : ["tenants", index];
    const problems: Problem[] = [];
    if (typeof id === "string") {
      const before = seen.get(id);
      if (before === undefined) seen.set(id, index);
      else problems.push({ key, message: `${id} is listed already, as tenants.${before}` });
    }
    if (typeof pool === "string" && !pools.includes(pool)) {
      const near = nearestName(pool, pools);
      const meant = near === null ? `it may be one of ${pools.join(", ")}` : `did you mean ${near}?`;
      problems.push({
        key: ["tenants", index, "pool"],
        message: `there is no pool ${pool} in pools.dedicated; ${meant}`,
      });
    }
    return problems;
  });
}
