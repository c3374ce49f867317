import type { RunEvent } from "../../server/core/run-event.ts";
import type { RecordedStep } from "../../server/ports/run-ledger.ts";
import { clip, printable, textFields } from "../text-table.ts";
import { table } from "../table.ts";
import type { SeenRun } from "./read-run.ts";
import { isoTime, runDetails, runRow } from "./run-rows.ts";

/** What `runs show --json` prints. */
export const runReport = ({ run, steps, events }: SeenRun) => ({
  ...runDetails(run),
  steps: steps.map(({ at, ...step }) => ({ ...step, at: isoTime(at) })),
  events: events?.map(({ at, body, runSeq }) => ({ runSeq, at: isoTime(at), ...body })) ?? null,
});

export function runText({ run, steps, events }: SeenRun): string {
  const row = runRow(run);
  const { error, result } = run;
  const parts = [
    textFields({
      run: row.runId,
      session: row.sessionKey,
      agent: run.agentId,
      status: row.status + (run.abortRequested && run.status === "running" ? " (abort requested)" : ""),
      attempt: row.attempt,
      "lost attempts": run.failures === 0 ? null : run.failures,
      worker: row.worker,
      accepted: row.acceptedAt,
      started: row.startedAt,
      ended: row.endedAt,
      "answered in": row.mergedInto,
      model: result?.model ? `${result.model.provider}/${result.model.model}` : null,
      tokens: result?.usage ? `${result.usage.input} in, ${result.usage.output} out` : null,
      error: error ? `${error.message} (${error.kind})` : null,
    }),
  ];
  if (steps.length > 0) parts.push(table([["STEP", "TIME", "WHAT"], ...steps.map(stepCells)]));
  const told = events?.filter(({ body }) => body.type !== "delta" && body.type !== "thinking") ?? [];
  if (told.length > 0) parts.push(table([["EVENT", "TIME", "WHAT"], ...told.map(eventCells)]));
  if (result?.text) parts.push(result.text);
  return parts.join("\n\n");
}

const stepCells = (step: RecordedStep): string[] => [
  String(step.stepNo),
  isoTime(step.at),
  printable(stepText(step)),
];

/** `calls look`, `result of call-1`. */
export const stepText = (step: RecordedStep): string =>
  step.kind === "tool_started"
    ? `calls ${step.toolName} (${step.toolCallId})`
    : `${step.isError ? "error" : "result"} of ${step.toolCallId}`;

const eventCells = ({ at, body, runSeq }: RunEvent): string[] => [
  String(runSeq),
  isoTime(at),
  printable(eventText(body)),
];

const TEXT_MAX = 80;

/** An event in a line. */
export function eventText(body: RunEvent["body"]): string {
  switch (body.type) {
    case "started":
      return body.model ? `started on ${body.model.provider}/${body.model.model}` : "started";
    case "delta":
    case "thinking":
    case "replace":
      return `${body.type} ${clip(body.text, TEXT_MAX)}`;
    case "tool":
      return `tool ${body.name} ${body.phase}${body.isError === true ? ", with an error" : ""}`;
    case "message":
      return `row ${body.row.seq} written`;
    case "usage":
      return `${body.usage.input} tokens in, ${body.usage.output} out`;
    case "compaction":
      return `compaction ${body.phase}`;
    case "final":
      return body.mergedInto === undefined ? `final (${body.stopReason})` : `answered in ${body.mergedInto}`;
    case "aborted":
      return `aborted (${body.reason})`;
    case "error":
      return `error ${body.error.kind}: ${clip(body.error.message, TEXT_MAX)}`;
  }
}
