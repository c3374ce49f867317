import { pino } from "pino";
import type { Logger as PinoLogger } from "pino";
import type { LogFields, Logger } from "../../ports/logger.ts";
import { lineSink } from "./line-sink.ts";
import type { LineSink } from "./line-sink.ts";
import { redacted, redactedText } from "./redact.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface JsonLoggerOptions {
  readonly level: LogLevel;
  /** Fields of every line, such as the instance. */
  readonly fields?: LogFields;
  /** Default: `stdout`, where a service manager expects it; commands whose result is on stdout log to `stderr`. */
  readonly destination?: "stdout" | "stderr" | LineSink;
}

/** What may wait for a slow reader of the log before lines are dropped, bytes. */
const BUFFER_MAX_BYTES = 8 * 1024 * 1024;

/**
 * A JSON object a line: `{"level":"info","time":"…","event":"run.finished",…}`. Writing never blocks the event loop
 * and never fails; lines that cannot be written are dropped above a bound, and counted (`log.dropped`). What still
 * waits is written when the process exits.
 */
export function jsonLogger(options: JsonLoggerOptions): Logger {
  const root = pino(
    {
      level: options.level,
      base: null,
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    destinationOf(options.destination ?? "stdout"),
  );
  return wrap(options.fields === undefined ? root : root.child(redacted(options.fields)));
}

function destinationOf(destination: "stdout" | "stderr" | LineSink): LineSink {
  if (typeof destination === "object") return destination;
  return lineSink(destination === "stdout" ? 1 : 2, {
    maxBytes: BUFFER_MAX_BYTES,
    droppedLine: (lines) =>
      `${JSON.stringify({ level: "warn", time: new Date().toISOString(), event: "log.dropped", lines })}\n`,
  });
}

function wrap(log: PinoLogger): Logger {
  const write =
    (level: Exclude<LogLevel, "silent">) =>
    (event: string, fields?: LogFields): void => {
      if (!log.isLevelEnabled(level)) return; // copying fields for nobody would cost on hot paths
      log[level](fields === undefined ? {} : redacted(fields), redactedText(event));
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => wrap(log.child(redacted(fields))),
  };
}
