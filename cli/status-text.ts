import type { ActivityView, DeploymentView, StoreView } from "../server/supervisor/view.ts";
import { formatDuration } from "./duration.ts";
import { scalingText } from "./scale/scaling-text.ts";
import { table } from "./table.ts";
import { clip, textTable } from "./text-table.ts";

/** A deployment for people: what it is, what runs, what waits. */
export function statusText(view: DeploymentView, now: number): string {
  const lines = [headline(view)];
  if (view.failure !== undefined) {
    lines.push(`last start failed: ${view.failure.message}`);
    if (view.failure.hint !== null) lines.push(`hint: ${view.failure.hint}`);
  }
  if (view.gateway !== null) lines.push(`gateway  ${view.gateway.url}  ${view.gateway.httpUrl}`);
  if (view.gateway !== null) lines.push(`ui       ${view.gateway.controlUiUrl ?? NO_UI}`);
  lines.push(`data     ${view.dataDir}`);
  if (view.program !== undefined) lines.push(`program  ${view.program.version}  ${view.program.root}`);
  if (view.upgrade !== undefined) {
    lines.push(`an upgrade from ${view.upgrade.from} is under way since ${view.upgrade.startedAt}`);
  }
  const unwatched = view.supervisor.pid === null && view.phase !== "stopped";
  if (unwatched) lines.push("no supervisor is running: `openclaw-ha up` starts one, which takes over");
  const instances = [...view.instances, ...(view.demoModel === null ? [] : [view.demoModel])];
  if (instances.length > 0) {
    const rows = instances.map(({ id, pid, restarts, startedAt, state, url }) => [
      id,
      state,
      pid === null ? "-" : String(pid),
      startedAt === null ? "-" : formatDuration(Math.max(0, now - Date.parse(startedAt))),
      String(restarts),
      url ?? "-",
    ]);
    lines.push("", table([["INSTANCE", "STATE", "PID", "UP", "RESTARTS", "URL"], ...rows]));
  }
  const stores = Object.entries(view.stores);
  if (stores.length > 0)
    lines.push("", table([["STORE", "MODE", "STATE", "PID", "LATENCY"], ...stores.map(storeRow)]));
  if (view.tenants.length > 0) {
    const rows = view.tenants
      .slice(0, TENANTS_SHOWN)
      .map(({ disabled, id, pool }) => [id, disabled ? `${pool} (disabled)` : pool]);
    lines.push("", table([["TENANT", "POOL"], ...rows]));
    const more = view.tenants.length - rows.length;
    if (more > 0) lines.push(`and ${more} more: openclaw-ha tenant list`);
  }
  if (view.scaling !== undefined && view.phase !== "stopped") {
    lines.push("", scalingText(view.scaling, now));
  }
  if (view.activity !== undefined) lines.push(...activityText(view.activity, now));
  if (view.phase !== "stopped") lines.push("", queueText(view.queue));
  return lines.join("\n");
}

/** Rows of a list; --json and --watch have more. */
const SHOWN = 5;

/** Lanes in which something waits, the longest runs and the last failures, where there are any. */
function activityText({ failures, lanes, running }: ActivityView, now: number): string[] {
  const ago = (iso: string): string => formatDuration(Math.max(0, now - Date.parse(iso)));
  const lists = [
    textTable(
      ["LANE", "TENANT", "WAITING", "OLDEST", "RUNNING"],
      lanes
        .filter(({ ready }) => ready > 0)
        .map(({ lane, oldestReadyMs, ready, running: busy, tenant }) => [
          lane,
          tenant,
          String(ready),
          formatDuration(oldestReadyMs ?? 0),
          String(busy),
        ])
        .slice(0, SHOWN),
    ),
    textTable(
      ["RUNNING", "TENANT", "SESSION", "STEP", "FOR"],
      running
        .slice(0, SHOWN)
        .map(({ runId, sessionKey, startedAt, steps, tenant, tool }) => [
          runId,
          tenant,
          clip(sessionKey, 40),
          `${steps + 1} ${tool ?? "model"}`,
          ago(startedAt),
        ]),
    ),
    textTable(
      ["FAILED", "TENANT", "SESSION", "STATUS", "AGO", "CAUSE"],
      failures
        .slice(0, SHOWN)
        .map(({ endedAt, error, runId, sessionKey, status, tenant }) => [
          runId,
          tenant,
          clip(sessionKey, 40),
          status,
          ago(endedAt),
          error === null ? "-" : clip(`${error.kind}: ${error.message}`, 60),
        ]),
    ),
  ];
  return lists.filter((list) => list.includes("\n")).flatMap((list) => ["", list]);
}

/** A deployment of a thousand tenants is still to be seen at a glance. */
const TENANTS_SHOWN = 20;

const NO_UI = "none (npm install -g openclaw, or up --control-ui DIR)";

const headline = ({ name, phase, topology }: DeploymentView): string =>
  `${name} (${topology}) is ${phase === "stopped" ? "stopped" : phase}`;

const storeRow = ([name, { healthy, latencyMs, mode, pid }]: [string, StoreView]): string[] => [
  name,
  mode,
  healthy ? "healthy" : "down",
  pid === undefined ? "-" : String(pid),
  latencyMs === undefined ? "-" : `${latencyMs} ms`,
];

export function queueText(queue: DeploymentView["queue"]): string {
  const oldest = queue.ready > 0 ? `, oldest for ${formatDuration(queue.oldestReadyMs)}` : "";
  const age = queue.stale ? ` (as of ${queue.observedAt ?? "never"}; PostgreSQL does not answer now)` : "";
  return `queue: ${queue.ready} ready, ${queue.running} running${oldest}${age}`;
}
