import type pg from "pg";
import type { RunRecord } from "../../core/run.ts";
import type { Subagent } from "../../core/subagent.ts";
import { acceptedOrRefused } from "../../ports/accepted-run.ts";
import type { AcceptRequest } from "../../ports/run-ledger.ts";
import type { AnnounceAnswer, Announcement, SpawnAnswer, SubagentStore } from "../../ports/subagent-store.ts";
import { jsonbParameter } from "./json.ts";
import { acceptAnswer, acceptItem, type AcceptRow, answersInOrder, guardItem } from "./ledger-rows.ts";
import { rowsOf } from "./query.ts";
import { inTenant } from "./tenant-scope.ts";

export interface PostgresSubagentStoreOptions {
  readonly pool: pg.Pool;
  readonly maxQueuedPerSession?: number;
}

const SPAWN = "/* subagents.spawn */ SELECT 0 AS ord, x.* FROM spawn_subagent($1, $2) x";
const ENDED = "/* subagents.ended */ SELECT * FROM ended_subagents($1, $2, $3)";
const STOPPING = "/* subagents.stopping */ SELECT * FROM stopping_subagents($1, $2)";
const STOPPED = "/* subagents.stopped */ SELECT stopped_subagents($1)";
const ANNOUNCE = "/* subagents.announce */ SELECT * FROM announce_subagents($1, $2)";
// Params: $1 tenant, $2 key of the parent's session or null, $3 limit.
const LIST = `/* subagents.list */ SELECT subagent(c) AS child, r.record AS run FROM subagent_runs c
  CROSS JOIN LATERAL (SELECT run_record(r) AS record FROM runs r WHERE r.tenant_id = c.tenant_id AND r.run_id = c.run_id LIMIT 1) r
  WHERE c.tenant_id = $1 AND ($2::text IS NULL OR c.requester_key = $2) ORDER BY c.created_at DESC LIMIT $3`;

type SpawnRow = Omit<AcceptRow, "kind"> & {
  readonly kind: AcceptRow["kind"] | "fenced" | "stopped" | "too-deep" | "too-many";
  readonly depth: number;
};
type AnnounceRow = Omit<AcceptRow, "kind"> & { readonly kind: AcceptRow["kind"] | "dropped" };
interface ChildRow {
  readonly child: Subagent;
  readonly run: RunRecord;
}

/** SubagentStore on PostgreSQL (migrate/sql/000014_subagents.sql). */
export function postgresSubagentStore({
  pool,
  maxQueuedPerSession = 1_000,
}: PostgresSubagentStoreOptions): SubagentStore {
  const rows = rowsOf(pool);

  return {
    async spawn({ grant, child, accept, maxDepth, maxOpen }) {
      const spawn = {
        ...guardItem(grant),
        depth: maxDepth,
        children: maxOpen,
        task: child.task,
        label: child.label,
        cleanup: child.cleanup,
        accept: acceptItem(accept, 0),
      };
      const [row] = await rows<SpawnRow>("spawn a subagent", SPAWN, [
        jsonbParameter(spawn),
        maxQueuedPerSession,
      ]);
      return spawnAnswer(accept, row);
    },

    async ended(limit, only) {
      const found = await rows<ChildRow & { requester_exists: boolean }>("find ended subagents", ENDED, [
        only?.tenant ?? null,
        only?.runId ?? null,
        limit,
      ]);
      return found.map(({ child, run, requester_exists }) => ({
        child,
        run,
        isAwaited: requester_exists,
      }));
    },

    async stopping(limit, tenant) {
      const found = await rows<{ child: Subagent }>("find subagents to stop", STOPPING, [
        tenant ?? null,
        limit,
      ]);
      return found.map(({ child }) => child);
    },

    async stopped(children) {
      const items = children.map(({ tenant, runId }) => ({ t: tenant, r: runId }));
      await rows("note stopped subagents", STOPPED, [jsonbParameter(items)]);
    },

    async announce(announcements) {
      const items = announcements.map(({ child, accept }, ord) => ({
        ord,
        t: child.tenant,
        r: child.runId,
        accept: accept === null ? null : acceptItem(accept, ord),
      }));
      const answers = await rows<AnnounceRow>("announce subagents", ANNOUNCE, [
        jsonbParameter(items),
        maxQueuedPerSession,
      ]);
      return answersInOrder(announcements, answers, announceAnswer);
    },

    list: (tenant, { requesterKey, limit }) =>
      inTenant(pool, tenant, "list subagents", async (query) => {
        const { rows: found } = await query<{ child: Subagent; run: RunRecord }>(LIST, [
          tenant,
          requesterKey ?? null,
          limit,
        ]);
        return found;
      }),
  };
}

function spawnAnswer(accept: AcceptRequest, row: SpawnRow | undefined): SpawnAnswer {
  if (row === undefined || row.kind === "fenced") return { kind: "fenced" };
  if (row.kind === "too-deep") return { kind: "too-deep", depth: row.depth };
  if (row.kind === "too-many" || row.kind === "stopped") return { kind: row.kind };
  const answer = acceptedOrRefused(acceptAnswer(accept, { ...row, kind: row.kind }));
  return answer.kind === "refused" ? answer : { kind: "spawned", depth: row.depth, answer };
}

function announceAnswer({ accept }: Announcement, row: AnnounceRow | undefined): AnnounceAnswer {
  if (row === undefined) return { kind: "done" };
  if (row.kind === "dropped" || accept === null) return { kind: "dropped" };
  const answer = acceptedOrRefused(acceptAnswer(accept, { ...row, kind: row.kind }));
  return answer.kind === "refused" ? answer : { kind: "announced", answer };
}
