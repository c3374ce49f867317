import type { Verdict } from "./judge.ts";

/** What became of one run. */
export interface RunResult {
  readonly scenario: string;
  readonly claim: string;
  readonly seed: number;
  readonly verdict: "pass" | "fail" | "skipped";
  /** Null where there is nothing to judge. */
  readonly judged: Verdict | null;
  /** Why it was skipped, or what went wrong before it could be judged. */
  readonly reason: string | null;
  /** Folder with history.jsonl, stores.json, verdict.json and report.html; null where there is none. */
  readonly dir: string | null;
  readonly tookMs: number;
}
