import { Command } from "commander";
import { HAError } from "../../server/core/errors.ts";
import { agentId, runId, tenantId } from "../../server/core/ids.ts";
import { RUN_MOVES } from "../../server/core/run-state.ts";
import type { RunStatus } from "../../server/core/run.ts";
import type { RunFilter } from "../../server/ports/run-ledger.ts";
import type { CliContext } from "../context.ts";
import { parseLimit } from "../duration.ts";
import { typedSessionKey, withPorts } from "../ports.ts";
import { runReport, runText } from "../runs/run-report.ts";
import { type RunRow, runRow } from "../runs/run-rows.ts";
import { momentOf, parseSince, type Since } from "../since.ts";
import { clip, textTable } from "../text-table.ts";

interface ListFlags {
  readonly tenant: string;
  readonly session?: string;
  readonly agent?: string;
  readonly status?: readonly RunStatus[];
  readonly error?: string;
  readonly since?: Since;
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
    .option("--agent <id>", "only runs of this agent")
    .option("--status <status,…>", `only these: ${Object.keys(RUN_MOVES).join(", ")}`, parseStatuses)
    .option(
      "--error <kind>",
      "only runs that ended with this kind of error: model_auth, timeout, worker_lost…",
    )
    .option("--since <time>", "only runs accepted since then: 10m, 2h, 2026-11-25T10:00:00Z", parseSince)
    .option("--limit <n>", "how many, or all", parseLimit, 100)
    .option("--before <run>", "the next page: only runs accepted before this one")
    .addHelpText(
      "after",
      `
Examples:
  openclaw-ha runs list --status failed,timed_out,dead --since 1h
  openclaw-ha runs list --session notes --limit 20 --before RUN`,
    )
    .action((flags: ListFlags) =>
      withPorts(context, async ({ ledger }) => {
        const tenant = tenantId(flags.tenant);
        const filter = await runFilter(context, flags);
        const rows: RunRow[] = [];
        let before = flags.before === undefined ? undefined : runId(flags.before);
        if (before !== undefined && (await ledger.get(tenant, before)) === null) {
          throw (await import("../runs/cancel-run.ts")).unknownRun(before);
        }
        let more = false;
        for (let left = flags.limit; left > 0;) {
          const limit = Math.min(left, PAGE);
          const page = await ledger.list(tenant, { ...filter, limit, ...(before ? { before } : {}) });
          rows.push(...page.map(runRow));
          left -= page.length;
          before = page.at(-1)?.runId;
          more = page.length === limit;
          if (!more || context.signal.aborted) break;
        }
        context.output.result(rows, listText);
        if (more) context.output.progress(`for the next page: --before ${before}`);
      }),
    );

async function runFilter(context: CliContext, flags: ListFlags): Promise<Omit<RunFilter, "limit">> {
  const { agent, error, session, since, status } = flags;
  return {
    ...(session === undefined ? {} : { sessionKey: await typedSessionKey(context, session) }),
    ...(agent === undefined ? {} : { agentId: agentId(agent) }),
    ...(status === undefined ? {} : { status }),
    ...(error === undefined ? {} : { errorKind: error }),
    ...(since === undefined ? {} : { since: momentOf(since, context.clock.now()) }),
  };
}

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
    .description("all that is known of a run: its result, its steps, and its events while they are kept")
    .argument("<run>", "run id: the idempotency key of its message")
    .option("--tenant <tenant>", "whose run", "default")
    .action((id: string, flags: { tenant: string }) =>
      withPorts(context, async ({ bus, ledger }) => {
        const { readRun } = await import("../runs/read-run.ts");
        const seen = await readRun({ bus, ledger }, tenantId(flags.tenant), runId(id));
        if (seen === null) throw (await import("../runs/cancel-run.ts")).unknownRun(id);
        context.output.result(runReport(seen), () => runText(seen));
      }),
    );

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
