import { open, stat } from "node:fs/promises";
import { HAError } from "../server/core/errors.ts";
import { poolOf } from "../server/supervisor/instances.ts";
import { loggedIds, logFileOf, olderLogFileOf } from "../server/supervisor/log-files.ts";
import type { CliContext } from "./context.ts";

export interface LogsRequest {
  /** A pool or an id; null is everything. */
  readonly target: string | null;
  readonly follow: boolean;
  /** Lines from the end, over all files together; Infinity is all. */
  readonly lines: number;
}

/** One line of one log, as `--json` prints it. */
export interface LogLine {
  readonly instance: string;
  /** When it was written, where the line says so; a line that does not belongs to the one before it. */
  readonly time: string | null;
  readonly line: string;
}

const POLL_MS = 250;
/** How much of the end of a file is read for a limited number of lines. */
const TAIL_BYTES_PER_LINE = 1_024;
const TAIL_MIN_BYTES = 64 * 1_024;

/**
 * Prints logs merged by time. With `follow` it goes on until the signal aborts, files that appear later and files
 * that were rotated included.
 * @throws HAError NOT_FOUND where there is no such log
 */
export async function printLogs(context: CliContext, request: LogsRequest): Promise<void> {
  const { clock, deployment, signal } = context;
  const matching = async (): Promise<string[]> =>
    (await loggedIds(deployment.dataDir)).filter(
      (id) => request.target === null || id === request.target || poolOf(id) === request.target,
    );
  const ids = await matching();
  if (ids.length === 0 && !request.follow) throw await noSuchLog(context, request.target);
  const ends = new Map<string, { readonly inode: number; readonly offset: number }>();
  const read = await Promise.all(ids.map((id) => readTail(deployment.dataDir, id, request.lines)));
  ids.forEach((id, n) => ends.set(id, read[n]!.end));
  const merged = mergeByTime(read.map(({ lines }) => lines));
  print(context, merged.slice(-request.lines));
  while (request.follow && !signal.aborted) {
    await clock.sleep(POLL_MS, signal);
    const added: LogLine[][] = [];
    for (const id of await matching()) {
      const file = logFileOf(deployment.dataDir, id);
      const { end, text } = await readAdded(file, ends.get(id) ?? null);
      if (end !== null) ends.set(id, end);
      added.push(linesOf(id, text));
    }
    print(context, mergeByTime(added));
  }
}

/** Equal times, and lines without one, keep the order of their file. */
export function mergeByTime(logs: readonly (readonly LogLine[])[]): LogLine[] {
  const dated = logs.flatMap((lines) => {
    let last = "";
    return lines.map((line) => ({ line, time: (last = line.time ?? last) }));
  });
  return dated.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).map(({ line }) => line);
}

export const linesOf = (instance: string, text: string): LogLine[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ instance, time: timeOf(line), line }));

/** Instances write JSON with an ISO time; PostgreSQL begins its lines with one in UTC, Redis with its own. */
function timeOf(line: string): string | null {
  const json = /"time":"([^"]+)"/.exec(line)?.[1];
  if (json !== undefined) return json;
  const postgres = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) UTC/.exec(line);
  if (postgres !== null) return `${postgres[1]}T${postgres[2]}Z`;
  const redis = /^\d+:[A-Z] (\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d+)/.exec(line)?.[1];
  const time = redis === undefined ? Number.NaN : Date.parse(`${redis} UTC`);
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}

function print({ output }: CliContext, lines: readonly LogLine[]): void {
  for (const line of lines) output.event(line, () => `${line.instance.padEnd(WIDTH)} | ${line.line}`);
}

/** As wide as the usual ids, so that columns stay where they are. */
const WIDTH = 10;

async function readTail(dataDir: string, id: string, lines: number) {
  const file = logFileOf(dataDir, id);
  const wanted = Math.max(TAIL_MIN_BYTES, lines * TAIL_BYTES_PER_LINE);
  const current = await readFrom(file, (size) => Math.max(0, size - wanted));
  const whole = current.start === 0 ? current.text : current.text.slice(current.text.indexOf("\n") + 1);
  const older = lines === Infinity ? (await readFrom(olderLogFileOf(dataDir, id), () => 0)).text : "";
  return { lines: linesOf(id, older + whole), end: current.end };
}

/** What was added since `end`; after a rotation, the whole new file. Half a line waits for its other half. */
async function readAdded(file: string, end: { readonly inode: number; readonly offset: number } | null) {
  const now = await stat(file).catch(() => null);
  if (now === null) return { text: "", end };
  const same = end !== null && end.inode === now.ino && end.offset <= now.size;
  return readFrom(file, () => (same ? end.offset : 0));
}

/** Whole lines from an offset on, which must be the start of a line; half a line at the end is left for later. */
async function readFrom(file: string, from: (size: number) => number) {
  const handle = await open(file, "r").catch(() => null);
  if (handle === null) return { text: "", start: 0, end: { inode: 0, offset: 0 } };
  try {
    const { ino, size } = await handle.stat();
    const start = from(size);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    const last = bytes.lastIndexOf(0x0a, bytesRead - 1) + 1;
    const text = bytes.toString("utf8", 0, last);
    return { text, start, end: { inode: ino, offset: start + last } };
  } finally {
    await handle.close();
  }
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
