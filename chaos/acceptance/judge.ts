import { readEvidence } from "../judge-folder.ts";
import type { ScenarioSummary } from "../summary.ts";
import { availabilityOf, PATIENCE_MS, UNPLANNED_SHARE_MAX, WINDOW_MS } from "./availability.ts";
import type { CriterionResult } from "./criterion.ts";
import { breadthOf, SESSIONS_MIN, TENANTS_MIN } from "./cross-talk.ts";

/** "API 99.9 %": counted per request and per window, on what the clients recorded. */
export function judgeAvailability(run: ScenarioSummary): CriterionResult {
  const criterion =
    "API 99.9 %: unplanned failures are at most 0.1 % of all requests, and of each 10 s window";
  const done = "steady load while one gateway and one worker were killed every minute";
  if (run.dir === null || run.operations === 0) return unmeasured("availability", criterion, done, run);
  const figures = availabilityOf(readEvidence(run.dir));
  const allowed = Math.floor(figures.requests * UNPLANNED_SHARE_MAX);
  const findings = [
    ...(figures.requests === 0 ? ["no request was made"] : []),
    ...(figures.failed > allowed
      ? [`${figures.failed} of ${figures.requests} requests had no answer within ${PATIENCE_MS / 1_000} s`]
      : []),
    ...(figures.badWindows > 0
      ? [
          `${figures.badWindows} of ${figures.windows} windows of ${WINDOW_MS / 1_000} s had more than 0.1 % failures`,
        ]
      : []),
    ...findingsOf(run),
  ];
  return {
    name: "availability",
    criterion,
    done,
    verdict: findings.length === 0 ? "pass" : "fail",
    measured: {
      requests: figures.requests,
      failed: figures.failed,
      availability: `${(figures.share * 100).toFixed(2)} %`,
      lostTries: figures.lostTries,
      windows: figures.windows,
      badWindows: figures.badWindows,
      slowestMs: figures.slowestMs,
    },
    findings,
    evidence: [run.dir],
  };
}

/** "No cross-talk": wide enough, and not one foreign byte. */
export function judgeCrossTalk(run: ScenarioSummary): CriterionResult {
  const criterion = "no cross-talk: 0 foreign bytes in any frame, history, object and log";
  const done =
    "sessions of many tenants at once, each with canaries, while a gateway and a worker were killed";
  if (run.dir === null || run.operations === 0) return unmeasured("cross-talk", criterion, done, run);
  const { runs, sessions, tenants } = breadthOf(readEvidence(run.dir));
  const findings = [
    ...(tenants < TENANTS_MIN ? [`only ${tenants} tenants took part, of ${TENANTS_MIN}`] : []),
    ...(sessions < SESSIONS_MIN ? [`only ${sessions} sessions took part, of ${SESSIONS_MIN}`] : []),
    ...findingsOf(run),
  ];
  return {
    name: "cross-talk",
    criterion,
    done,
    verdict: findings.length === 0 ? "pass" : "fail",
    measured: { tenants, sessions, runs },
    findings,
    evidence: [run.dir],
  };
}

/** "Kills lose nothing": every scenario held every promise; the pauses per kind are told. */
export function judgeKills(runs: readonly ScenarioSummary[]): CriterionResult {
  const findings = runs.flatMap((run) => findingsOf(run).map((what) => `${run.name}: ${what}`));
  const gaps = runs.flatMap((run) => run.gaps);
  const kinds = [...Map.groupBy(gaps, ({ fault }) => fault)].map(([fault, of]): [string, number | null] => {
    const longest = of.flatMap(({ maxMs }) => maxMs ?? []);
    return [`${fault}, longest pause ms`, longest.length === 0 ? null : Math.max(...longest)];
  });
  const ended = runs.reduce((sum, run) => sum + run.runs, 0);
  return {
    name: "kills",
    criterion: "killing any process loses nothing: every acknowledged run ends once with the right text",
    done: `${runs.length} scenarios: ${runs.map(({ name }) => name).join(", ")}`,
    verdict: findings.length === 0 && ended > 0 ? "pass" : "fail",
    measured: { runs: ended, ...Object.fromEntries(kinds) },
    findings: ended > 0 ? findings : ["no run was recorded", ...findings],
    evidence: runs.flatMap(({ dir }) => dir ?? []),
  };
}

/** Why a run did not pass, in words; never empty for one that did not. */
function findingsOf({ findings, reason, verdict }: ScenarioSummary): string[] {
  if (verdict === "pass") return [];
  const why = [...(reason === null ? [] : [reason]), ...findings];
  return why.length > 0 ? why : [`the run was ${verdict}`];
}

const unmeasured = (
  name: string,
  criterion: string,
  done: string,
  run: ScenarioSummary,
): CriterionResult => ({
  name,
  criterion,
  done,
  verdict: "fail",
  measured: {},
  findings: ["nothing could be measured", ...findingsOf(run)],
  evidence: run.dir === null ? [] : [run.dir],
});
