import { asHAError, ERROR_CATALOG, isHAError } from "../server/core/errors.ts";

/** The part of a stream that the output writes to; `isTTY` decides about colour and animation. */
export interface OutputStream {
  readonly isTTY?: boolean;
  write(text: string): boolean;
}

export interface OutputOptions {
  /** `--json`: stdout carries JSON and nothing else. */
  readonly json: boolean;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The single way in which a command speaks. Results go to stdout, everything else to stderr, so that a command can be
 * piped; the same calls serve people and programs.
 */
export interface Output {
  readonly json: boolean;
  /** Colour and animation are welcome on stdout: a terminal, no `NO_COLOR`, no `--json`. */
  readonly rich: boolean;
  /** A screen may be drawn on stdout: a terminal that can move its cursor, with colour or without, no `--json`. */
  readonly interactive: boolean;
  /** The command's one answer: itself as one JSON document, or `asText` of it. */
  result<T>(value: T, asText: (value: T) => string): void;
  /** One item of a stream: one JSON object a line, or its text (a line; nothing when there is no text). */
  event<T>(value: T, asText?: (value: T) => string | null): void;
  /** Text exactly as given, without a line end: streamed answers. Nothing with `--json`. */
  text(chunk: string): void;
  /** What is being done, for people who wait; a line on stderr. */
  progress(text: string): void;
  /** Something to know about that does not stop the command; a line on stderr. */
  warning(text: string): void;
  /** Ends a command that failed: `{"error":…}` on stdout with `--json`, else text on stderr. */
  failure(error: unknown): void;
}

/** An error as `--json` prints it. */
export interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

export function createOutput({ json, stdout, stderr, env }: OutputOptions): Output {
  const noColor = env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== "";
  const interactive = !json && stdout.isTTY === true && env["TERM"] !== "dumb";
  const line = (text: string): string => (text.endsWith("\n") ? text : `${text}\n`);
  return {
    json,
    rich: interactive && !noColor,
    interactive,
    result(value, asText) {
      const text = json ? JSON.stringify(value, null, stdout.isTTY ? 2 : undefined) : asText(value);
      if (text !== "") stdout.write(line(text));
    },
    event(value, asText) {
      const text = json ? JSON.stringify(value) : (asText?.(value) ?? null);
      if (text !== null) stdout.write(line(text));
    },
    text(chunk) {
      if (!json && chunk !== "") stdout.write(chunk);
    },
    progress: (text) => void stderr.write(line(text)),
    warning: (text) => void stderr.write(line(`warning: ${text}`)),
    failure(error) {
      const document = errorDocument(error);
      if (json) stdout.write(line(JSON.stringify(document)));
      else stderr.write(line(errorText(document)));
    },
  };
}

/**
 * An error as a value. `details.hint` of an HAError is its next step; an unexpected error keeps its cause chain, since
 * it is a bug that somebody will have to find.
 */
export function errorDocument(thrown: unknown): ErrorDocument {
  const error = asHAError(thrown);
  const { hint, ...details } = error.details;
  const cause = causeOf(error.cause);
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(typeof hint === "string" ? { hint } : {}),
      ...(cause !== null && cause !== error.message ? { details: { ...details, cause } } : {}),
      ...(cause === null && Object.keys(details).length > 0 ? { details } : {}),
    },
  };
}

function errorText({ error }: ErrorDocument): string {
  const lines = [`error: ${error.message}`];
  const problems = error.details?.["problems"];
  if (Array.isArray(problems)) lines.push(...problems.map((problem) => `  ${String(problem)}`));
  const cause = error.details?.["cause"];
  if (typeof cause === "string" && !error.message.includes(cause)) lines.push(`cause: ${cause}`);
  if (error.hint !== undefined) lines.push(`hint: ${error.hint}`);
  return lines.join("\n");
}

/** The innermost message of a cause chain: usually the driver's own words. */
function causeOf(cause: unknown): string | null {
  if (cause === undefined || cause === null) return null;
  if (!(cause instanceof Error)) return typeof cause === "string" ? cause : JSON.stringify(cause);
  // A connection refused on several addresses comes as an AggregateError with an empty message.
  const own = cause.message || (cause as NodeJS.ErrnoException).code || cause.name;
  return causeOf(cause.cause) ?? own;
}

/** The exit code that the catalogue gives an error; what is not ours is a bug of ours (70). */
export const exitCodeOf = (error: unknown): number =>
  isHAError(error) ? ERROR_CATALOG[error.code].exitCode : ERROR_CATALOG.INTERNAL.exitCode;
