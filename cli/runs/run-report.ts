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

type Body<Type extends RunEvent["body"]["type"]> = Extract<RunEvent["body"], { readonly type: Type }>;

const EVENT_TEXT: { readonly [Type in RunEvent["body"]["type"]]: (body: Body<Type>) => string } = {
  started: ({ model }) => (model ? `started on ${model.provider}/${model.model}` : "started"),
  replace: ({ text }) => `text ${clip(text, TEXT_MAX)}`,
  delta: ({ text }) => `more text ${clip(text, TEXT_MAX)}`,
  thinking: ({ text }) => `thinking ${clip(text, TEXT_MAX)}`,
  tool: ({ isError, name, phase }) => `tool ${name} ${phase}${isError === true ? ", with an error" : ""}`,
  message: ({ row }) => `row ${row.seq} written`,
  usage: ({ usage }) => `${usage.input} tokens in, ${usage.output} out`,
  compaction: ({ phase }) => `compaction ${phase}`,
  final: ({ mergedInto, stopReason }) =>
    mergedInto === undefined ? `final (${stopReason})` : `answered in ${mergedInto}`,
  aborted: ({ reason }) => `aborted (${reason})`,
  error: ({ error }) => `error ${error.kind}: ${clip(error.message, TEXT_MAX)}`,
};

/** An event in a line. */
export const eventText = <Type extends RunEvent["body"]["type"]>(body: Body<Type>): string =>
  EVENT_TEXT[body.type](body);
