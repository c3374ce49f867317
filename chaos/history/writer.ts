import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { Clock } from "../../server/ports/clock.ts";
import { HISTORY_VERSION, type HistoryRecord, type RecordOf } from "./format.ts";

/** A record before it has its time. */
export type Untimed = {
  [T in Exclude<HistoryRecord["type"], "header" | "end">]: Omit<RecordOf<T>, "at">;
}[Exclude<HistoryRecord["type"], "header" | "end">];

/** What the run knows of itself before it begins. */
export type HeaderFacts = Omit<RecordOf<"header">, "type" | "version" | "startedAt" | "startedAtMs">;

/** Writes the history of one run. Every part of the run writes through this one, so lines have one order. */
export interface HistoryWriter {
  /** Milliseconds since the start of the run. */
  now(): number;
  /** A number that no other operation of the file has. */
  nextOp(): number;
  /** A number that no other connection of the file has. */
  nextConnection(): number;
  write(record: Untimed): void;
  /** Hands everything written so far to the operating system. */
  flush(): void;
  /**
   * Writes `end` and closes the file. Not called, the file stays what it is: cut off. Whatever is written afterwards
   * is dropped: a connection that dies late is no longer part of the run.
   */
  end(settled: boolean): void;
  /** Closes the file without `end`: the run was interrupted, and readers will say so. */
  abandon(): void;
}

/** Lines are gathered for so many bytes, at most; `flush` and a timer of the run hand them on earlier. */
const BUFFER_BYTES = 64 * 1024;

/** Creates the file with its header. @throws Error when it cannot be created */
export function openHistory(file: string, facts: HeaderFacts, clock: Clock): HistoryWriter {
  const descriptor = openSync(file, "wx", 0o600);
  const startedAt = clock.monotonic();
  const startedAtMs = clock.now();
  let pending = "";
  let records = 0;
  let ops = 0;
  let connections = 0;
  let open = true;

  // Rounded, because nobody reads nanoseconds; order within a millisecond is the order of the lines.
  const now = (): number => Math.round((clock.monotonic() - startedAt) * 100) / 100;
  const flush = (): void => {
    if (pending === "" || !open) return;
    writeSync(descriptor, pending);
    pending = "";
  };
  const put = (record: HistoryRecord): void => {
    pending += `${JSON.stringify(record)}\n`;
    if (pending.length > BUFFER_BYTES) flush();
  };
  const close = (): void => {
    flush();
    fsyncSync(descriptor);
    closeSync(descriptor);
    open = false;
  };

  put({
    type: "header",
    version: HISTORY_VERSION,
    startedAt: new Date(startedAtMs).toISOString(),
    startedAtMs,
    ...facts,
  });
  flush();
  return {
    now,
    nextOp: () => ++ops,
    nextConnection: () => ++connections,
    write(record) {
      if (!open) return;
      records++;
      put({ ...record, at: now() });
    },
    flush,
    end(settled) {
      if (!open) return;
      put({ type: "end", at: now(), records, settled });
      close();
    },
    abandon() {
      if (open) close();
    },
  };
}
