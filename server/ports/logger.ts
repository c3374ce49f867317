/** Ids and numbers beside an event. Never a secret, a message text or a token. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured log for operators. The event name is fixed text (`run.finished`), everything variable is a field.
 * Created once per process and narrowed with `child` by tenant, session, run or worker.
 */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}
