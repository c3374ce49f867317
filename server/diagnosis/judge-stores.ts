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

/** Looks at all stores at once, for so many processes that use them; a store that does not answer is a finding, not a failure. */
export async function diagnoseStores(facts: StoreFacts, processes: number): Promise<Finding[]> {
  const parts = await Promise.all([
    facts.postgres().then(
      (seen) => [...judgePostgres(seen), judgeConnections(seen, processes)],
      (error: unknown) => [unreachable("PostgreSQL", error, true)],
    ),
    facts.redis().then(judgeRedis, (error: unknown) => [unreachable("Redis", error, false)]),
    facts.objects().then(
      () => [ok("object storage can be written")],
      (error: unknown) => [unreachable("object storage", error, false)],
    ),
  ]);
  return parts.flat();
}

export function judgePostgres(facts: PostgresFacts): Finding[] {
  return [
    judgePostgresRelease(facts),
    ...(facts.inRecovery
      ? [failing("PostgreSQL is a standby", "it takes no writes", "point the address at the primary")]
      : []),
    ...judgeRoundTrip(facts.roundTripMs),
    judgeSchema(facts),
    judgeClock(facts.clockSkewMs),
    judgeCommit(facts.synchronousCommit),
    judgeLocks(facts.sessionLocks),
  ];
}

const judgePostgresRelease = ({ roundTripMs, version, versionNumber }: PostgresFacts): Finding =>
  versionNumber < POSTGRES_MIN
    ? failing(
        `PostgreSQL ${version} is too old`,
        "it lacks what the statements use",
        "use PostgreSQL 14 or later",
      )
    : ok(`PostgreSQL ${version} answers in ${roundTripMs.toFixed(1)} ms`);

const judgeRoundTrip = (roundTripMs: number): Finding[] =>
  roundTripMs <= ROUND_TRIP_NOTABLE_MS
    ? []
    : [
        warning(
          `a round trip to PostgreSQL takes ${Math.round(roundTripMs)} ms`,
          "each run waits for about three",
          "bring gateways and workers closer to the database",
        ),
      ];

function judgeSchema({ releaseRevision, schemaRevision }: PostgresFacts): Finding {
  if (schemaRevision > releaseRevision) {
    return failing(
      `the schema is at revision ${schemaRevision}, this release knows ${releaseRevision}`,
      "what is newer may mean something else than this release takes it for",
      "use the newer release that migrated the database",
    );
  }
  if (schemaRevision === releaseRevision) return ok(`the schema is at revision ${schemaRevision}`);
  return failing(
    `the schema is at revision ${schemaRevision}, this release needs ${releaseRevision}`,
    "its statements call functions that are not there",
    "openclaw-ha up",
  );
}

function judgeClock(skewMs: number): Finding {
  if (Math.abs(skewMs) < SKEW_NOTABLE_MS) {
    return ok(`the database's clock agrees to ${Math.abs(Math.round(skewMs))} ms`);
  }
  return warning(
    `the database's clock is ${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${skewMs > 0 ? "ahead of" : "behind"} this machine's`,
    "times in logs and lists mislead; leases are safe, since only the database's clock decides about them",
    "let both follow NTP",
  );
}

const judgeCommit = (setting: string): Finding =>
  setting === "off"
    ? failing(
        "PostgreSQL does not wait for its disk (synchronous_commit off)",
        "what was acknowledged may be gone when its machine fails",
        "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf()",
      )
    : ok(`PostgreSQL commits before it answers (synchronous_commit ${setting})`);

const judgeLocks = (sessionLocks: boolean): Finding =>
  sessionLocks
    ? ok("session advisory locks work: a dead worker is noticed at once")
    : warning(
        "the database is behind a transaction pooler: there are no session advisory locks",
        "nothing is lost, but a dead worker is noticed by its TTL (10 s) instead of at once",
        "point OPENCLAW_HA_POSTGRES_URL at the server itself, or at a pool in session mode",
      );

/** Connections of a process of the deployment, its heartbeat among them, and those of commands. */
const CONNECTIONS_EACH = 10;
const CONNECTIONS_OF_COMMANDS = 10;

/** Whether so many gateways, workers and control processes have room in the database. */
export function judgeConnections({ maxConnections }: PostgresFacts, processes: number): Finding {
  const wanted = processes * CONNECTIONS_EACH + CONNECTIONS_OF_COMMANDS;
  const what = `PostgreSQL takes ${maxConnections} connections, ${processes} processes open up to ${wanted}`;
  if (wanted <= maxConnections) return ok(what);
  return warning(
    what,
    "under load some are refused, and what they were for waits",
    `ALTER SYSTEM SET max_connections = ${wanted} and a restart, or openclaw-ha scale with fewer`,
  );
}

export function judgeRedis(facts: RedisFacts | null): Finding[] {
  if (facts === null) return [];
  const { evictionPolicy, maxMemoryBytes, persistence, roundTripMs, usedMemoryBytes, version } = facts;
  const findings = [
    compareVersions(version, REDIS_MIN) < 0
      ? failing(
          `Redis ${version} is too old`,
          "its streams lack what the queue uses",
          `use Redis ${REDIS_MIN} or later, or Valkey`,
        )
      : ok(`Redis ${version} answers in ${roundTripMs.toFixed(1)} ms`),
  ];
  if (evictionPolicy !== "" && evictionPolicy !== "noeviction") {
    findings.push(
      warning(
        `Redis evicts keys when it is full (maxmemory-policy ${evictionPolicy})`,
        "queues that vanish are rebuilt, but late",
        "CONFIG SET maxmemory-policy noeviction",
      ),
    );
  }
  if (maxMemoryBytes > 0 && usedMemoryBytes > maxMemoryBytes * MEMORY_NOTABLE) {
    findings.push(
      warning(
        `Redis uses ${Math.round((usedMemoryBytes / maxMemoryBytes) * 100)} % of its maxmemory`,
        "at its limit it takes no events and no wake-ups, and everything is slower",
        "CONFIG SET maxmemory, or give it a server of its own",
      ),
    );
  }
  findings.push(
    persistence.failed
      ? failing(
          "Redis could not write its data to disk the last time",
          "by default it then refuses every write: no events, no wake-ups",
          "make room on its disk, or switch persistence off: CONFIG SET save ''",
        )
      : ok(
          persistence.kinds.length === 0
            ? "Redis keeps nothing on disk: what it holds is rebuilt from PostgreSQL"
            : `Redis writes to disk (${persistence.kinds.join(", ")}), which nothing here needs`,
        ),
  );
  return findings;
}

/** Share of its memory above which Redis is nearly full. */
const MEMORY_NOTABLE = 0.9;

/** Without PostgreSQL nothing is accepted; without the others runs go on. */
function unreachable(name: string, thrown: unknown, needed: boolean): Finding {
  const error = asHAError(thrown);
  const what = `${name} is not usable: ${error.message}`;
  const why = needed ? "until it is, nothing is accepted" : "runs go on meanwhile, slower";
  return failing(what, why, "openclaw-ha up, which starts it, or correct its address");
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
