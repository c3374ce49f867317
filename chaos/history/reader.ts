import { readFileSync } from "node:fs";
import { HAError } from "../../server/core/errors.ts";
import { type History, HISTORY_VERSION, historyRecord, type HistoryRecord } from "./format.ts";

/**
 * Reads a recorded history.
 * @throws HAError REQUEST_INVALID (exit code 2) for a file that is not there, was cut off, is of another version, or
 *   holds a line that is none of ours
 */
export function readHistory(file: string): History {
  return parseHistory(readText(file), file);
}

/** As `readHistory`, from text; `file` names it in errors. */
export function parseHistory(text: string, file: string): History {
  const lines = text.split("\n");
  const torn = lines.pop();
  const [first, ...rest] = lines;
  if (first === undefined) throw cutOff(file, "it has no line");
  const version = (asJson(first, file, 1) as { version?: unknown } | null)?.version;
  if (version !== HISTORY_VERSION) {
    throw refused(
      file,
      `is of version ${JSON.stringify(version ?? null)}; this release reads ${HISTORY_VERSION}`,
      {
        hint: "judge it with the release that recorded it",
      },
    );
  }
  const header = asRecord(first, file, 1);
  if (header.type !== "header") throw refused(file, "does not begin with a header");
  const records = rest.map((line, i) => asRecord(line, file, i + 2));
  const end = records.pop();
  if (torn !== "") throw cutOff(file, "its last line is torn");
  if (end?.type !== "end") throw cutOff(file, "it has no `end`");
  if (end.records !== records.length) {
    throw refused(file, `says it has ${end.records} records, and has ${records.length}`);
  }
  return { header, records, end };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw refused(file, "cannot be read", { hint: "name the folder that `chaos run` reported" }, error);
  }
}

function asJson(line: string, file: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw refused(file, `line ${number} is no JSON`, {}, error);
  }
}

function asRecord(line: string, file: string, number: number): HistoryRecord {
  const parsed = historyRecord.safeParse(asJson(line, file, number));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw refused(file, `line ${number}: ${issue?.path.join(".") || "record"}: ${issue?.message ?? "unknown"}`);
}

const cutOff = (file: string, how: string): HAError =>
  refused(file, `was cut off: ${how}`, { hint: "the run was interrupted; run it again" });

const refused = (file: string, what: string, details: object = {}, cause?: unknown): HAError =>
  new HAError("REQUEST_INVALID", `history ${file} ${what}`, { file, ...details }, { cause });
