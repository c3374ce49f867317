import type { LogFields, Logger } from "../ports/logger.ts";

export interface RecordingLogger extends Logger {
  /** Oldest first; fields of a child include its parents'. */
  readonly lines: { readonly level: string; readonly event: string; readonly fields: LogFields }[];
}

/** Keeps what was logged, for tests that ask what was said and how often. Children write to the same lines. */
export function recordingLogger(): RecordingLogger {
  const lines: RecordingLogger["lines"] = [];
  const narrowed = (fields: LogFields): RecordingLogger => {
    const at =
      (level: string) =>
      (event: string, more?: LogFields): void =>
        void lines.push({ level, event, fields: { ...fields, ...more } });
    return {
      lines,
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (more) => narrowed({ ...fields, ...more }),
    };
  };
  return narrowed({});
}
