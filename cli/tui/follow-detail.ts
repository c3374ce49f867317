import { runId, tenantId } from "../../server/core/ids.ts";
import { isEnded } from "../../server/core/run-state.ts";
import type { CliContext } from "../context.ts";
import { logReader } from "../logs/log-reader.ts";
import { withPorts } from "../ports.ts";
import { readRun, type SeenRun } from "../runs/read-run.ts";
import { type Detail, NO_DETAIL } from "./detail.ts";
import type { Mode } from "./screen-state.ts";

type Opened = Extract<Mode, { readonly back: number }>;

const EVERY_MS = 500;
/** What an open log keeps. */
const LOG_LINES = 1_000;
/** Events of a run that are kept: those before them are told by its text. */
const EVENTS = 1_000;

/** Reads an open run or log again and again, until the signal aborts. @throws HAError as the stores do */
export function followDetail(
  context: CliContext,
  mode: Opened,
  onDetail: (detail: Detail) => void,
): Promise<void> {
  return mode.kind === "run" ? followRun(context, mode, onDetail) : followLogs(context, mode, onDetail);
}

function followRun(
  context: CliContext,
  { runId: id, tenant }: Extract<Mode, { readonly kind: "run" }>,
  onDetail: (detail: Detail) => void,
): Promise<void> {
  const { clock, signal } = context;
  return withPorts(context, async (ports) => {
    let events: SeenRun["events"] = null;
    while (!signal.aborted) {
      const read = await readRun(ports, tenantId(tenant), runId(id), events?.at(-1)?.runSeq ?? 0);
      if (read === null) throw (await import("../runs/cancel-run.ts")).unknownRun(id);
      if (read.events !== null) events = [...(events ?? []), ...read.events].slice(-EVENTS);
      onDetail({ ...NO_DETAIL, run: { ...read, events } });
      if (isEnded(read.run.status)) return;
      await clock.sleep(EVERY_MS, signal);
    }
  });
}

async function followLogs(
  { clock, deployment, signal }: CliContext,
  { run, target }: Extract<Mode, { readonly kind: "logs" }>,
  onDetail: (detail: Detail) => void,
): Promise<void> {
  const reader = logReader(deployment.dataDir, { target, filter: run === null ? {} : { run } });
  let logs = await reader.tail(LOG_LINES);
  onDetail({ ...NO_DETAIL, logs });
  while (!signal.aborted) {
    await clock.sleep(EVERY_MS, signal);
    const added = await reader.added();
    if (added.length === 0) continue;
    logs = [...logs, ...added].slice(-LOG_LINES);
    onDetail({ ...NO_DETAIL, logs });
  }
}
