import { HAError } from "../server/core/errors.ts";
import { nearestName } from "../server/core/nearest-name.ts";
import type { Group, Plan, PlannedTenant } from "./k6/lib/plan.ts";
import { totalSeconds } from "./k6/lib/schedule.ts";
import { PROFILES, type Profile } from "./profiles.ts";
import { metricKey, metricsOf, type TrendName } from "./threshold.ts";

/** How a profile is made smaller or larger; what is absent stays as it is. */
export interface Scale {
  /** Of the load, without connecting and draining; its stages keep their proportions. */
  readonly durationMs?: number;
  /** Messages per second in the normal phase; all stages follow. */
  readonly rate?: number;
  /** Clients of all groups together. */
  readonly clients?: number;
}

/** @throws HAError REQUEST_INVALID with the list of profiles and the nearest name */
export function findProfile(name: string): Profile {
  const found = PROFILES.find((profile) => profile.name === name);
  if (found !== undefined) return found;
  const names = PROFILES.map((profile) => profile.name);
  const near = nearestName(name, names);
  throw new HAError("REQUEST_INVALID", `there is no profile ${JSON.stringify(name)}`, {
    profiles: names,
    hint: `${near === null ? "" : `did you mean ${near}? `}profiles: ${names.join(", ")}`,
  });
}

/** Tenants that a profile wants, over all its groups. */
export const tenantsOf = ({ groups }: Profile): number =>
  groups.reduce((sum, { tenantCount }) => sum + tenantCount, 0);

/** The profile at another size. @throws HAError REQUEST_INVALID when a group would be left without a client */
export function scaled(profile: Profile, { durationMs, rate, clients }: Scale): Profile {
  const seconds = Math.max(...profile.groups.map(({ stages }) => totalSeconds(stages)));
  const longer = durationMs === undefined ? 1 : durationMs / 1_000 / seconds;
  const faster = rate === undefined ? 1 : rate / profile.rate;
  const all = profile.groups.reduce((sum, group) => sum + group.clients, 0);
  if (clients !== undefined && clients < profile.groups.length) {
    throw new HAError(
      "REQUEST_INVALID",
      `profile ${profile.name} has ${profile.groups.length} kinds of clients`,
      {
        hint: `give --vus at least ${profile.groups.length}`,
      },
    );
  }
  return {
    ...profile,
    rate: profile.rate * faster,
    groups: profile.groups.map((group) => ({
      ...group,
      clients:
        clients === undefined ? group.clients : Math.max(1, Math.round((group.clients * clients) / all)),
      stages: group.stages.map((stage) => ({
        ...stage,
        seconds: stage.seconds * longer,
        from: stage.from * faster,
        to: stage.to * faster,
      })),
    })),
  };
}

/** Metrics that are told apart by class in every report. */
const BY_CLASS: readonly TrendName[] = ["ack", "first_delta", "end_to_end", "queue_wait", "reconnect_gap"];

/**
 * The whole run as its scripts are told it.
 * @param tenants as many as `tenantsOf` the profile; they are dealt out to the groups in their order
 * @param files where k6 puts its summary
 */
export function planOf(
  profile: Profile,
  tenants: readonly PlannedTenant[],
  run: { readonly seed: string; readonly probeUrl: string | null; readonly summaryFile: string },
): Plan {
  const groups: Group[] = [];
  let next = 0;
  for (const { tenantCount, ...group } of profile.groups) {
    groups.push({ ...group, tenants: Array.from({ length: tenantCount }, (_, n) => next + n) });
    next += tenantCount;
  }
  const { name, connectSeconds, drainSeconds, runTimeoutMs } = profile;
  return {
    profile: name,
    ...run,
    tenants,
    groups,
    connectSeconds,
    drainSeconds,
    runTimeoutMs,
    options: k6Options(profile, groups, run.probeUrl !== null),
  };
}

export const loadSeconds = ({ groups }: Pick<Plan, "groups">): number =>
  Math.max(...groups.map(({ stages }) => totalSeconds(stages)));

function k6Options(profile: Profile, groups: readonly Group[], probes: boolean): Record<string, unknown> {
  const seconds = loadSeconds({ groups });
  const maxSeconds = profile.connectSeconds + seconds + profile.drainSeconds + 30;
  const scenarios = groups.map((group) => [
    group.name,
    {
      executor: "per-vu-iterations",
      exec: "clients",
      vus: Math.ceil(group.clients / group.clientsPerVu),
      iterations: 1,
      maxDuration: `${Math.ceil(maxSeconds)}s`,
      gracefulStop: "1s",
    },
  ]);
  const probing = {
    executor: "constant-arrival-rate",
    exec: "probe",
    rate: 1,
    timeUnit: "1s",
    startTime: `${profile.connectSeconds}s`,
    duration: `${Math.ceil(seconds)}s`,
    preAllocatedVUs: 1,
    maxVUs: 5,
    gracefulStop: "6s",
  };
  const apart = [
    ...profile.thresholds.flatMap(metricsOf),
    ...["client", "overload", "unplanned"].map((kind) => metricKey("errors", { kind })),
    ...groups.flatMap((group) => BY_CLASS.map((metric) => metricKey(metric, { class: group.name }))),
  ];
  return {
    scenarios: { ...Object.fromEntries(scenarios), ...(probes ? { probe: probing } : {}) },
    // Empty ones: they make k6 keep these parts of a metric apart; loadtest/verdict.ts does the judging.
    thresholds: Object.fromEntries(apart.map((key) => [key, []])),
    summaryTrendStats: ["count", "min", "med", "p(95)", "p(99)", "max"],
    // k6's own tags are not looked at, and every sample would carry them.
    systemTags: [],
    setupTimeout: "30s",
  };
}
