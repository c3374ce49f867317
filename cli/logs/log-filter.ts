import { LOG_LEVELS, type LogLine, type LogLineLevel } from "./log-line.ts";

/** Which lines are wanted; what is absent excludes nothing. */
export interface LogFilter {
  readonly tenant?: string;
  readonly session?: string;
  readonly run?: string;
  /** This bad or worse. */
  readonly level?: LogLineLevel;
  /** Epoch milliseconds. */
  readonly since?: number;
}

export const filtersNothing = (filter: LogFilter): boolean =>
  Object.values(filter).every((wanted) => wanted === undefined);

/** The wanted lines of one log, in order; a line without a time goes with the one before it. */
export function wantedLines(lines: readonly LogLine[], filter: LogFilter): LogLine[] {
  let wanted = filtersNothing(filter);
  return lines.filter((line) => {
    if (line.time !== null) wanted = matches(line, filter);
    return wanted;
  });
}

function matches({ level = "info", time, ...line }: LogLine, filter: LogFilter): boolean {
  const same = (["tenant", "session", "run"] as const).every(
    (name) => filter[name] === undefined || line[name] === filter[name],
  );
  const bad = filter.level === undefined || LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(filter.level);
  return same && bad && (filter.since === undefined || Date.parse(time ?? "") >= filter.since);
}
