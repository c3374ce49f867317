import type { PlantedBug } from "./planted-bug.ts";

/** Bugs of workers: how runs are carried on, handed over and told of. */
export const WORKER_BUGS: readonly PlantedBug[] = [
  {
    name: "event-before-commit",
    what: "the end of a run is told before it is stored",
    promise: "no-lost-ack",
    trial: "postgres-killed",
    edits: [
      {
        file: "server/worker/execute-run.ts",
        find: "  const answer = await storeOutcome(deps, {\n    grant,\n    status,\n    result,",
        replace:
          "  stream.emit(terminalEvent(outcome, stream.text()));\n  const answer = await storeOutcome(deps, {\n    grant,\n    status,\n    result,",
      },
    ],
  },
  {
    name: "wake-up-lost-at-finish",
    what: "the next run of a session, granted with the end of the last one, is forgotten",
    promise: "no-lost-ack",
    trial: "busy",
    edits: [
      {
        file: "server/worker/execute-session.ts",
        find: "    grant = next;",
        replace: "    grant = null;",
      },
    ],
  },
  {
    name: "drain-forgets-leases",
    what: "a worker that drains leaves without handing its sessions over, and the sweep looks for dead workers only",
    promise: "no-lost-ack",
    trial: "worker-drained",
    edits: [
      {
        file: "server/worker/execute-session.ts",
        find: "    const ready = await deps.calls.release(grant);",
        replace: "    const ready = null as Awaited<ReturnType<typeof deps.calls.release>>;",
      },
      {
        file: "migrate/sql/000007_workers.sql",
        find: "  IF v_tenants IS NULL THEN RETURN; END IF;\n  RETURN QUERY SELECT r.tenant_id, r.session_key, r.pool, r.lane FROM recover_sessions(v_tenants, v_keys, 2147483647, true) r WHERE r.ready;",
        replace: "  RETURN;",
      },
      {
        file: "migrate/sql/000007_workers.sql",
        find: "    WHERE w.state <> 'live' ORDER BY l.tenant_id,",
        replace: "    WHERE w.state = 'dead' ORDER BY l.tenant_id,",
      },
    ],
  },
  {
    name: "cache-without-tenant",
    what: "contexts are kept by session key alone, and taken for good whatever session they are of",
    promise: "isolated",
    trial: "two-tenants",
    edits: [
      {
        file: "server/worker/context-cache.ts",
        find: "`${tenant}\\0${key}`",
        replace: "`${tenant.slice(0, 0)}${key}`",
      },
      {
        file: "server/worker/load-context.ts",
        find: "  const { sessionId, resetSeq, userRow } = grant;",
        replace: "  const { resetSeq, userRow } = grant;",
      },
      {
        file: "server/worker/load-context.ts",
        find: "cached.sessionId === sessionId && cached.resetSeq === resetSeq && isPrefix",
        replace: "cached.resetSeq === resetSeq && isPrefix",
      },
    ],
  },
  {
    name: "tool-start-not-recorded",
    what: "a tool runs before anything says that it was started",
    promise: "no-silent-repetition",
    trial: "tool-interrupted",
    edits: [
      {
        file: "server/agent-loop/agent-loop.ts",
        find: '  if (how === "run") {\n    progress.add(',
        replace: '  if (how === "run" && tool.idempotent) {\n    progress.add(',
      },
    ],
  },
  {
    name: "tool-run-again",
    what: "a tool whose outcome is unknown is run again, idempotent or not",
    promise: "no-silent-repetition",
    trial: "tool-interrupted",
    edits: [
      {
        file: "server/agent-loop/next-action.ts",
        find: '  return started.idempotent ? "run_again" : "outcome_unknown";',
        replace: '  return "run_again";',
      },
      {
        file: "server/agent-loop/agent-loop.ts",
        find: 'const unknown = how === "run_again" && !(prepared.kind === "ready" && prepared.tool.idempotent);',
        replace: 'const unknown = how === "run_again" && prepared.kind !== "ready";',
      },
    ],
  },
  {
    name: "numbers-begin-again",
    what: "each attempt numbers its events from 1",
    promise: "resumable",
    trial: "worker-killed",
    edits: [
      {
        file: "server/core/run-event.ts",
        find: "  (Math.max(attempt, 1) - 1) * ATTEMPT_STRIDE + n;",
        replace: "  Math.min(attempt, 0) * ATTEMPT_STRIDE + n;",
      },
    ],
  },
];
