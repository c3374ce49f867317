import { HAError } from "../../server/core/errors.ts";
import { loggedIds } from "../../server/supervisor/log-files.ts";
import type { CliContext } from "../context.ts";
import { type LogLine, logText } from "./log-line.ts";
import { logReader, type LogSelection } from "./log-reader.ts";

export interface LogsRequest extends LogSelection {
  readonly follow: boolean;
  /** Lines from the end, over all files together; Infinity is all. */
  readonly lines: number;
}

const POLL_MS = 250;

/**
 * Prints logs merged by time. With `follow` it goes on until the signal aborts, files that appear later and files
 * that were rotated included.
 * @throws HAError NOT_FOUND where there is no such log
 */
export async function printLogs(context: CliContext, request: LogsRequest): Promise<void> {
  const { clock, deployment, signal } = context;
  const reader = logReader(deployment.dataDir, request);
  if ((await reader.ids()).length === 0 && !request.follow) throw await noSuchLog(context, request.target);
  print(context, await reader.tail(request.lines));
  while (request.follow && !signal.aborted) {
    await clock.sleep(POLL_MS, signal);
    print(context, await reader.added());
  }
}

function print({ output }: CliContext, lines: readonly LogLine[]): void {
  for (const line of lines) output.event(line, logText);
}

async function noSuchLog({ deployment }: CliContext, target: string | null): Promise<HAError> {
  const ids = await loggedIds(deployment.dataDir);
  if (ids.length === 0) {
    return new HAError("NOT_FOUND", `deployment ${JSON.stringify(deployment.name)} has no logs`, {
      hint: "start it with `openclaw-ha up`, or pick another one with --name or --data-dir",
    });
  }
  return new HAError("NOT_FOUND", `there is no log of ${JSON.stringify(target)}`, {
    hint: `there are: ${ids.join(", ")}`,
  });
}
