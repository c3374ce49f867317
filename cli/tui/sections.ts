import type { InstanceLoad } from "../../server/core/scaling.ts";
import type { InstanceView } from "../../server/ports/provisioner.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import { formatDuration } from "../duration.ts";
import { type Findable, isFound, parseFilter } from "./filter.ts";
import type { Column } from "./layout.ts";

/** How a row stands: it decides its colour alone, so that nothing is lost without one. */
export type Tone = "good" | "busy" | "bad" | "plain";

/** What a key can be applied to. */
export type Subject =
  | { readonly kind: "instance"; readonly id: string }
  | { readonly kind: "run"; readonly tenant: string; readonly runId: string }
  | { readonly kind: "none" };

export interface Row {
  readonly id: string;
  readonly cells: readonly string[];
  readonly tone: Tone;
  readonly subject: Subject;
}

/** A list of the screen. */
export interface Section {
  readonly title: string;
  readonly columns: readonly Column[];
  /** Those that the filter leaves. */
  readonly rows: readonly Row[];
  /** All there are. */
  readonly total: number;
  /** Said where there is none. */
  readonly empty: string;
}

type Found = Row & { readonly find: Findable };
type Unfiltered = Omit<Section, "rows" | "total"> & { readonly rows: readonly Found[] };

/** The lists of a deployment at one moment, as far as the filter lets them through. */
export function sectionsOf(view: DeploymentView, now: number, filter: string): Section[] {
  const wanted = parseFilter(filter);
  return [
    instances(view, now),
    lanes(view),
    running(view, now),
    failures(view, now),
    decisions(view, now),
  ].map(({ rows, ...section }) => ({
    ...section,
    total: rows.length,
    rows: rows.filter(({ find }) => isFound(find, wanted)),
  }));
}

const ago = (iso: string, now: number): string => formatDuration(Math.max(0, now - Date.parse(iso)));
const percent = (share: number): string => `${Math.round(share * 100)}%`;
const TONES: Readonly<Record<InstanceView["state"], Tone>> = {
  ready: "good",
  starting: "busy",
  draining: "busy",
  stopped: "plain",
  crashed: "bad",
};

function instances(view: DeploymentView, now: number): Unfiltered {
  const loads = new Map(view.activity?.loads.map((load) => [load.instance, load]));
  const all = [...view.instances, ...(view.demoModel === null ? [] : [view.demoModel])];
  return {
    title: "Instances",
    empty: "none runs",
    columns: [
      { title: "INSTANCE", width: 11 },
      { title: "STATE", width: 8 },
      { title: "UP", width: 9, right: true },
      { title: "RESTARTS", width: 8, right: true },
      { title: "CPU", width: 4, right: true },
      { title: "LOOP", width: 4, right: true },
      { title: "MEMORY", width: 7, right: true },
      { title: "WORK", width: "rest" },
    ],
    rows: all.map((instance) => {
      const { id, restarts, startedAt, state } = instance;
      const load = loads.get(id);
      const cells = [
        id,
        state,
        startedAt === null ? "-" : ago(startedAt, now),
        String(restarts),
        ...(load === undefined
          ? ["-", "-", "-", ""]
          : [
              percent(load.cpu),
              percent(load.loop),
              `${Math.round(load.rssBytes / 2 ** 20)} MB`,
              workOf(load),
            ]),
      ];
      return {
        id,
        cells,
        tone: TONES[state],
        subject: { kind: "instance", id },
        find: { text: cells.join(" ") },
      };
    }),
  };
}

const workOf = ({ busy, connections, pool, slots }: InstanceLoad): string =>
  pool === "gateway" ? `${connections} clients` : `${busy}/${slots} busy`;

function lanes({ activity }: DeploymentView): Unfiltered {
  return {
    title: "Lanes",
    empty: "nothing waits and nothing runs",
    columns: [
      { title: "TENANT", width: 24 },
      { title: "LANE", width: 10 },
      { title: "POOL", width: 12 },
      { title: "WAITING", width: 7, right: true },
      { title: "OLDEST", width: 9, right: true },
      { title: "RUNNING", width: 7, right: true },
    ],
    rows: (activity?.lanes ?? []).map(({ lane, oldestReadyMs, pool, ready, running: busy, tenant }) => {
      const waited = oldestReadyMs === null ? "-" : formatDuration(oldestReadyMs);
      const cells = [tenant, lane, pool, String(ready), waited, String(busy)];
      return {
        id: `${tenant} ${lane}`,
        cells,
        tone: ready > 0 && busy === 0 ? "bad" : ready > 0 ? "busy" : "plain",
        subject: { kind: "none" },
        find: { tenant, text: cells.join(" ") },
      };
    }),
  };
}

function running({ activity }: DeploymentView, now: number): Unfiltered {
  return {
    title: "Running",
    empty: "no run is under way",
    columns: [
      { title: "AGE", width: 9, right: true },
      { title: "TENANT", width: 12 },
      { title: "SESSION", width: 22 },
      { title: "STEP", width: 16 },
      { title: "RUN", width: "rest" },
    ],
    rows: (activity?.running ?? []).map((run) => {
      const { attempt, runId, sessionKey, startedAt, steps, tenant, tool, worker } = run;
      const step = `${steps + 1} ${tool === null ? "model" : tool}${attempt > 1 ? `, try ${attempt}` : ""}`;
      const cells = [ago(startedAt, now), tenant, sessionKey, step, runId];
      return {
        id: runId,
        cells,
        tone: attempt > 1 ? "busy" : "plain",
        subject: { kind: "run", tenant, runId },
        find: { tenant, session: sessionKey, text: `${cells.join(" ")} ${worker ?? ""}` },
      };
    }),
  };
}

function failures({ activity }: DeploymentView, now: number): Unfiltered {
  return {
    title: "Failures",
    empty: "none",
    columns: [
      { title: "AGO", width: 9, right: true },
      { title: "TENANT", width: 12 },
      { title: "SESSION", width: 18 },
      { title: "STATUS", width: 9 },
      { title: "CAUSE", width: "rest" },
    ],
    rows: (activity?.failures ?? []).map(({ endedAt, error, runId, sessionKey, status, tenant }) => {
      const cause = error === null ? "-" : `${error.kind}: ${error.message}`;
      const cells = [ago(endedAt, now), tenant, sessionKey, status, cause];
      return {
        id: runId,
        cells,
        tone: "bad",
        subject: { kind: "run", tenant, runId },
        find: { tenant, session: sessionKey, text: `${cells.join(" ")} ${runId}` },
      };
    }),
  };
}

function decisions({ scaling }: DeploymentView, now: number): Unfiltered {
  return {
    title: "Sizing",
    empty: "no size was changed yet",
    columns: [
      { title: "AGO", width: 9, right: true },
      { title: "POOL", width: 8 },
      { title: "SIZE", width: 8 },
      { title: "WHY", width: "rest" },
    ],
    rows: (scaling?.decisions ?? []).map(({ at, from, pool, reason, to }) => {
      const cells = [ago(at, now), pool, `${from} → ${to}`, reason];
      return {
        id: `${at} ${pool}`,
        cells,
        tone: "plain",
        subject: { kind: "none" },
        find: { text: cells.join(" ") },
      };
    }),
  };
}
