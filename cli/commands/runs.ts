import { Command } from "commander";
import { HAError } from "../../server/core/errors.ts";
import { runId, tenantId } from "../../server/core/ids.ts";
import { RUN_MOVES } from "../../server/core/run-state.ts";
import type { RunRecord, RunStatus } from "../../server/core/run.ts";
import type { CliContext } from "../context.ts";
import { parseLimit } from "../duration.ts";
import { typedSessionKey, withPorts } from "../ports.ts";
import { type RunRow, runDetails, runRow } from "../runs/run-rows.ts";
import { clip, textFields, textTable } from "../text-table.ts";

interface ListFlags {
  readonly tenant: string;
  readonly session?: string;
  readonly status?: readonly RunStatus[];
  readonly limit: number;
  readonly before?: string;
}

/** Runs read at once when all are asked for. */
const PAGE = 500;

export const runsCommand = (context: CliContext): Command =>
  new Command("runs")
    .description("list, show, cancel or redrive runs")
    .addCommand(listCommand(context))
    .addCommand(showCommand(context))
    .addCommand(cancelCommand(context))
    .addCommand(redriveCommand(context));

const listCommand = (context: CliContext): Command =>
  new Command("list")
    .description("runs, newest first")
    .option("--tenant <tenant>", "whose runs", "default")
    .option("--session <key>", "only runs of this session")
    .option("--status <status,…>", `only these: ${Object.keys(RUN_MOVES).join(", ")}`, parseStatuses)
    .option("--limit <n>", "how many, or all", parseLimit, 100)
    .option("--before <run>", "only runs accepted before this one")
    .action((flags: ListFlags) =>
      withPorts(context, async ({ ledger }) => {
        const filter = {
          ...(flags.session === undefined
            ? {}
            : { sessionKey: await typedSessionKey(context, flags.session) }),
          ...(flags.status === undefined ? {} : { status: flags.status }),
        };
        const rows: RunRow[] = [];
        let before = flags.before === undefined ? undefined : runId(flags.before);
        if (before !== undefined && (await ledger.get(tenantId(flags.tenant), before)) === null) {
          throw (await import("../runs/cancel-run.ts")).unknownRun(before);
        }
        for (let left = flags.limit; left > 0;) {
          const limit = Math.min(left, PAGE);
          const page = await ledger.list(tenantId(flags.tenant), {
            ...filter,
            limit,
            ...(before ? { before } : {}),
          });
          rows.push(...page.map(runRow));
          left -= page.length;
          before = page.at(-1)?.runId;
          if (page.length < limit || context.signal.aborted) break;
        }
        context.output.result(rows, listText);
      }),
    );

const listText = (rows: readonly RunRow[]): string =>
  rows.length === 0
    ? "no runs"
    : textTable(
        ["RUN", "SESSION", "STATUS", "ATTEMPT", "WORKER", "ACCEPTED", "ERROR"],
        rows.map((row) => [
          row.runId,
          clip(row.sessionKey, 40),
          row.status,
          String(row.attempt),
          row.worker ?? "-",
          row.acceptedAt,
          row.error ? clip(row.error.message, 60) : "",
        ]),
      );

const showCommand = (context: CliContext): Command =>
  new Command("show")
    .description("all that is known of a run, its result included")
    .argument("<run>", "run id: the idempotency key of its message")
    .option("--tenant <tenant>", "whose run", "default")
    .action((id: string, flags: { tenant: string }) =>
      withPorts(context, async ({ ledger }) => {
        const run = await ledger.get(tenantId(flags.tenant), runId(id));
        if (run === null) throw (await import("../runs/cancel-run.ts")).unknownRun(id);
        context.output.result(runDetails(run), () => showText(run));
      }),
    );

function showText(run: RunRecord): string {
  const row = runRow(run);
  const fields = textFields({
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
    model: run.result?.model ? `${run.result.model.provider}/${run.result.model.model}` : null,
    tokens: run.result?.usage ? `${run.result.usage.input} in, ${run.result.usage.output} out` : null,
    error: run.error ? `${run.error.message} (${run.error.kind})` : null,
  });
  return run.result?.text ? `${fields}\n\n${run.result.text}` : fields;
}

const cancelCommand = (context: CliContext): Command =>
  new Command("cancel")
    .description("end a run that is queued or running; exit code 1 when it had ended before")
    .argument("<run>", "run id")
    .option("--tenant <tenant>", "whose run", "default")
    .action((id: string, flags: { tenant: string }) =>
      withPorts(context, async (ports) => {
        const { cancelRun } = await import("../runs/cancel-run.ts");
        const { run, outcome } = await cancelRun(
          ports,
          { tenant: tenantId(flags.tenant), runId: runId(id) },
          context,
        );
        if (outcome === "ended") context.setExitCode(1);
        context.output.result({ outcome, ...runRow(run) }, () =>
          outcome === "ended"
            ? `run ${id} had ended: ${run.status}`
            : outcome === "aborted"
              ? `run ${id} is aborted`
              : `run ${id} will end: its worker has not confirmed yet`,
        );
      }),
    );

const redriveCommand = (context: CliContext): Command =>
  new Command("redrive")
    .description("queue a failed, timed out or dead run once more, under its own id")
    .argument("<run>", "run id")
    .option("--tenant <tenant>", "whose run", "default")
    .action((id: string, flags: { tenant: string }) =>
      withPorts(context, async (ports) => {
        const { redriveRun } = await import("../runs/redrive-run.ts");
        const run = await redriveRun(ports, { tenant: tenantId(flags.tenant), runId: runId(id) });
        context.output.result(runRow(run), () => `run ${id} is queued again`);
      }),
    );

function parseStatuses(value: string): RunStatus[] {
  return value.split(",").map((written) => {
    const status = written.trim();
    if (Object.hasOwn(RUN_MOVES, status)) return status as RunStatus;
    throw new HAError("REQUEST_INVALID", `unknown status ${JSON.stringify(status)}`, {
      hint: `one of ${Object.keys(RUN_MOVES).join(", ")}`,
    });
  });
}
