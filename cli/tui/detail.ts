import { formatDuration } from "../duration.ts";
import { type LogLine, logText } from "../logs/log-line.ts";
import type { SeenRun } from "../runs/read-run.ts";
import { eventText, stepText } from "../runs/run-report.ts";
import { printable } from "../text-table.ts";
import type { Mode } from "./screen-state.ts";

/** What is read for an open run or log; null until there is something. */
export interface Detail {
  readonly run: SeenRun | null;
  readonly logs: readonly LogLine[] | null;
}

export const NO_DETAIL: Detail = { run: null, logs: null };

/** An open run or log as lines, the newest last. */
export function detailLines(
  mode: Extract<Mode, { readonly back: number }>,
  { logs, run }: Detail,
  columns: number,
): { readonly title: string; readonly lines: readonly string[] } {
  if (mode.kind === "run")
    return { title: `Run ${mode.runId}`, lines: run === null ? ["reading…"] : runLines(run, columns) };
  const of = mode.run === null ? (mode.target ?? "everything") : `run ${mode.run}`;
  const lines = logs === null ? ["reading…"] : logs.length === 0 ? ["no lines"] : logs.map(logText);
  return { title: `Logs of ${of}`, lines };
}

function runLines({ events, run, steps }: SeenRun, columns: number): string[] {
  const error = run.error === null ? [] : wrapped(`error ${run.error.kind}: ${run.error.message}`, columns);
  const what = [
    ...steps.map((step) => ({ at: step.at, text: `step ${step.stepNo}: ${stepText(step)}` })),
    ...told(events ?? []),
  ].sort((a, b) => a.at - b.at);
  const since = run.startedAt ?? run.acceptedAt;
  return [
    `tenant ${run.tenant}  session ${printable(run.sessionKey)}  agent ${run.agentId}`,
    `${run.status}  attempt ${run.attempt}  worker ${run.worker ?? "-"}  accepted ${new Date(run.acceptedAt).toISOString()}`,
    ...error,
    ...(events === null ? ["its events are not kept any more: what follows are its steps"] : []),
    ...what.flatMap(({ at, text }) =>
      wrapped(text, columns - TIME_WIDTH).map(
        (line, n) =>
          (n === 0 ? formatDuration(Math.max(0, at - since)) : "").padStart(TIME_WIDTH - 2) + `  ${line}`,
      ),
    ),
    ...(run.result?.text ? ["", ...wrapped(run.result.text, columns)] : []),
  ];
}

/** Of the column that says when. */
const TIME_WIDTH = 11;

/** Pieces of text that follow one another are one line, as long as it fits. */
function told(events: NonNullable<SeenRun["events"]>): { readonly at: number; readonly text: string }[] {
  const lines: { at: number; text: string; more: boolean }[] = [];
  for (const { at, body } of events) {
    const last = lines.at(-1);
    const isText = body.type === "delta" || body.type === "replace";
    if (body.type === "delta" && last?.more === true) last.text += body.text;
    else lines.push({ at, text: isText ? body.text : eventText(body), more: isText });
  }
  return lines;
}

const wrapped = (text: string, columns: number): string[] =>
  text
    .split("\n")
    .flatMap((line) => line.match(new RegExp(`.{1,${Math.max(20, columns)}}`, "gu")) ?? [""])
    .map(printable);
