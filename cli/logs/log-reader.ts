import { open, stat } from "node:fs/promises";
import { poolOf } from "../../server/supervisor/instances.ts";
import { loggedIds, logFileOf, olderLogFileOf } from "../../server/supervisor/log-files.ts";
import { filtersNothing, type LogFilter, wantedLines } from "./log-filter.ts";
import { linesOf, type LogLine, mergeByTime } from "./log-line.ts";

export interface LogSelection {
  /** A pool or an id; null is everything. */
  readonly target: string | null;
  readonly filter: LogFilter;
}

/** Reads the logs of a deployment, merged by time. */
export interface LogReader {
  /** Ids whose logs are read; more may come. */
  ids(): Promise<string[]>;
  /** The newest wanted lines, over all files together; Infinity is all. Called once, before `added`. */
  tail(lines: number): Promise<LogLine[]>;
  /** What was written since, in files that appeared or were rotated meanwhile as well. */
  added(): Promise<LogLine[]>;
}

interface End {
  readonly inode: number;
  readonly offset: number;
}

/** How much of the end of a file is read at first, and how much more when that is not enough. */
const TAIL_BYTES = 256 * 1_024;
const TAIL_FACTOR = 4;

export function logReader(dataDir: string, { filter, target }: LogSelection): LogReader {
  const ends = new Map<string, End>();
  /** Of a line whose continuation may be read later. */
  const lastWanted = new Map<string, LogLine>();

  const ids = async (): Promise<string[]> =>
    (await loggedIds(dataDir)).filter((id) => target === null || id === target || poolOf(id) === target);

  /** Reads a file from its end back until there are enough wanted lines, or it is too old. */
  async function tailOf(id: string, lines: number): Promise<LogLine[]> {
    for (let bytes = lines === Infinity ? Infinity : TAIL_BYTES; ; bytes *= TAIL_FACTOR) {
      const read = await readFrom(logFileOf(dataDir, id), (size) => Math.max(0, size - bytes));
      ends.set(id, read.end);
      const whole = read.start === 0;
      const found = linesOf(id, whole ? read.text : read.text.slice(read.text.indexOf("\n") + 1));
      const wanted = wantedLines(found, filter);
      if (wanted.length >= lines || (!whole && isBefore(found[0], filter.since))) return wanted;
      if (!whole) continue;
      if (lines !== Infinity && filtersNothing(filter)) return wanted;
      const older = linesOf(id, (await readFrom(olderLogFileOf(dataDir, id), () => 0)).text);
      return wantedLines([...older, ...found], filter);
    }
  }

  async function addedTo(id: string): Promise<LogLine[]> {
    const { end, text } = await readAdded(logFileOf(dataDir, id), ends.get(id) ?? null);
    if (end !== null) ends.set(id, end);
    const before = lastWanted.get(id);
    const found = linesOf(id, text);
    const wanted = wantedLines(before === undefined ? found : [before, ...found], filter);
    const last = found.findLast(({ time }) => time !== null);
    if (last !== undefined) lastWanted.set(id, last);
    return wanted.filter((line) => line !== before);
  }

  return {
    ids,
    async tail(lines) {
      const read = await Promise.all((await ids()).map((id) => tailOf(id, lines)));
      return mergeByTime(read).slice(-lines);
    },
    async added() {
      return mergeByTime(await Promise.all((await ids()).map(addedTo)));
    },
  };
}

const isBefore = (line: LogLine | undefined, since: number | undefined): boolean =>
  since !== undefined && line?.time != null && Date.parse(line.time) < since;

/** What was added since `end`; after a rotation, the whole new file. Half a line waits for its other half. */
async function readAdded(file: string, end: End | null) {
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
