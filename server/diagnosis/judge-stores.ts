import { asHAError } from "../core/errors.ts";
import type { PostgresFacts, RedisFacts, StoreFacts } from "./facts.ts";
import { failing, type Finding, ok, warning } from "./finding.ts";

/** Supported from 14 on: older releases lack what the statements use. */
const POSTGRES_MIN = 140_000;
/** Streams with XAUTOCLAIM came with 6.2. */
const REDIS_MIN = "6.2";
/** Leases are decided by the database's clock alone; a skew only makes logs and displayed times misleading. */
const SKEW_NOTABLE_MS = 2_000;
/** Each run waits for about three commits in a row. */
const ROUND_TRIP_NOTABLE_MS = 20;

/** Looks at all stores at once; a store that does not answer is a finding, not a failure. */
export async function diagnoseStores(facts: StoreFacts): Promise<Finding[]> {
  const parts = await Promise.all([
    facts.postgres().then(judgePostgres, (error: unknown) => [unreachable("PostgreSQL", error, true)]),
    facts.redis().then(judgeRedis, (error: unknown) => [unreachable("Redis", error, false)]),
    facts.objects().then(
      () => [ok("object storage can be written")],
      (error: unknown) => [unreachable("object storage", error, false)],
    ),
  ]);
  return parts.flat();
}

export function judgePostgres(facts: PostgresFacts): Finding[] {
  const { clockSkewMs, releaseRevision, roundTripMs, schemaRevision } = facts;
  const findings: Finding[] = [];
  if (facts.versionNumber < POSTGRES_MIN) {
    findings.push(failing(`PostgreSQL ${facts.version} is too old`, "use PostgreSQL 14 or later"));
  } else findings.push(ok(`PostgreSQL ${facts.version} answers in ${roundTripMs.toFixed(1)} ms`));
  if (facts.inRecovery) {
    findings.push(failing("PostgreSQL is a standby: it takes no writes", "point the address at the primary"));
  }
  if (roundTripMs > ROUND_TRIP_NOTABLE_MS) {
    findings.push(
      warning(
        `a round trip to PostgreSQL takes ${Math.round(roundTripMs)} ms, and each run waits for about three`,
        "bring gateways and workers closer to the database",
      ),
    );
  }
  if (schemaRevision > releaseRevision) {
    findings.push(
      failing(
        `the schema is at revision ${schemaRevision}, this release knows ${releaseRevision}`,
        "use the newer release that migrated the database",
      ),
    );
  } else if (schemaRevision < releaseRevision) {
    findings.push(
      failing(
        `the schema is at revision ${schemaRevision}, this release needs ${releaseRevision}`,
        "run `openclaw-ha up`, which migrates the database",
      ),
    );
  } else findings.push(ok(`the schema is at revision ${schemaRevision}`));
  if (Math.abs(clockSkewMs) > SKEW_NOTABLE_MS) {
    findings.push(
      warning(
        `the database's clock is ${(Math.abs(clockSkewMs) / 1_000).toFixed(1)} s ${clockSkewMs > 0 ? "ahead of" : "behind"} this machine's`,
        "let both follow NTP; leases are safe, since only the database's clock decides about them",
      ),
    );
  } else findings.push(ok(`the database's clock agrees to ${Math.abs(Math.round(clockSkewMs))} ms`));
  findings.push(
    facts.sessionLocks
      ? ok("session advisory locks work: a dead worker is noticed at once")
      : warning(
          "the database is behind a transaction pooler: there are no session advisory locks",
          "nothing is wrong, but a dead worker is noticed by its TTL (10 s) instead of at once; " +
            "point OPENCLAW_HA_POSTGRES_URL at the server itself, or at a pool in session mode",
        ),
  );
  return findings;
}

export function judgeRedis(facts: RedisFacts | null): Finding[] {
  if (facts === null) return [];
  const findings = [
    compareVersions(facts.version, REDIS_MIN) < 0
      ? failing(`Redis ${facts.version} is too old`, `use Redis ${REDIS_MIN} or later, or Valkey`)
      : ok(`Redis ${facts.version} answers in ${facts.roundTripMs.toFixed(1)} ms`),
  ];
  if (facts.evictionPolicy !== "" && facts.evictionPolicy !== "noeviction") {
    findings.push(
      warning(
        `Redis evicts keys when it is full (maxmemory-policy ${facts.evictionPolicy})`,
        "set maxmemory-policy to noeviction: queues that vanish are rebuilt, but late",
      ),
    );
  }
  return findings;
}

/** Without PostgreSQL nothing is accepted; without the others runs go on. */
function unreachable(name: string, thrown: unknown, needed: boolean): Finding {
  const error = asHAError(thrown);
  const what = `${name} is not usable: ${error.message}`;
  return needed
    ? failing(what, "start it (openclaw-ha up), or correct its address; until then nothing is accepted")
    : failing(what, "start it (openclaw-ha up), or correct its address; runs go on meanwhile, slower");
}

/** -1, 0, 1 by dotted numbers; what is no number counts as 0. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string): number[] =>
    version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}
