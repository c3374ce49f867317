import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HAError } from "../server/core/errors.ts";
import { readHistory } from "./history/reader.ts";
import { judge } from "./judge.ts";
import { HISTORY_FILE } from "./record-run.ts";
import { indexReport } from "./report/index-report.ts";
import { runReport } from "./report/run-report.ts";
import type { RunResult } from "./result.ts";
import { findScenario } from "./scenarios/index.ts";
import { SNAPSHOT_VERSION, storesSnapshot, type StoresSnapshot } from "./stores/snapshot.ts";
import { type ChaosSummary, summarize } from "./summary.ts";
import type { Evidence } from "./validators/validator.ts";

/**
 * Judges what was recorded in a folder again: one run's, or all below a folder that `chaos run` has written. Reports
 * and verdicts are written anew beside the histories, which are not touched.
 * @throws HAError REQUEST_INVALID (exit code 2) where there is no history, or one that is cut off or of another version
 */
export async function judgeFolder(folder: string): Promise<ChaosSummary> {
  const dirs = runFoldersIn(folder);
  const results: RunResult[] = [];
  for (const dir of dirs) {
    const evidence = readEvidence(dir);
    const { header } = evidence.history;
    const judged = judge(evidence, findScenario(header.scenario));
    await writeFile(join(dir, "verdict.json"), `${JSON.stringify(judged, null, 2)}\n`);
    await writeFile(join(dir, "report.html"), runReport(evidence, judged));
    results.push({
      scenario: header.scenario,
      claim: header.claim,
      seed: header.seed,
      verdict: judged.verdict,
      judged,
      reason: null,
      dir,
      tookMs: Math.round(evidence.history.end.at),
    });
  }
  const report = join(folder, "report.html");
  const seed = Math.min(...results.map((result) => result.seed));
  const summary = summarize(results, seed, report);
  // A single run's folder is its own report.
  if (dirs[0] !== folder) await writeFile(report, indexReport(summary, results));
  return summary;
}

/** @throws HAError REQUEST_INVALID as judgeFolder */
export function readEvidence(dir: string): Evidence {
  return { history: readHistory(join(dir, HISTORY_FILE)), stores: readStores(join(dir, "stores.json")) };
}

function runFoldersIn(folder: string): string[] {
  if (existsSync(join(folder, HISTORY_FILE))) return [folder];
  const entries = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  const found = entries
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, HISTORY_FILE)))
    .map((entry) => join(folder, entry.name))
    .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (found.length > 0) return found;
  throw new HAError("REQUEST_INVALID", `there is no recorded history in ${folder}`, {
    hint: "name the folder that `chaos run` reported, or one of those below it",
  });
}

function readStores(file: string): StoresSnapshot {
  const refused = (what: string, cause?: unknown): HAError =>
    new HAError("REQUEST_INVALID", `${file} ${what}`, { file }, { cause });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw refused("cannot be read: without what the stores held nothing can be judged", error);
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (version !== SNAPSHOT_VERSION) {
    throw refused(`is of version ${JSON.stringify(version ?? null)}; this release reads ${SNAPSHOT_VERSION}`);
  }
  const parsed = storesSnapshot.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw refused(`is damaged: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`, parsed.error);
}
