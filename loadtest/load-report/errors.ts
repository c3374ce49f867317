import type { Html, Tone } from "../report/html.ts";
import { section } from "../report/page.ts";
import { formatNumber } from "../report/scale.ts";
import { table } from "../report/table.ts";
import type { LoadTestResult } from "../result.ts";

const TONES: Readonly<Record<string, Tone>> = { overload: "warn", unplanned: "bad", client: "bad" };

/** What the short names of failures mean. */
const MEANINGS: Readonly<Record<string, string>> = {
  "no-end": "the run had no end within its time",
  "run-failed": "the run ended with an error",
  "aborted-unasked": "the run was aborted, and nobody had asked",
  "wrong-answer": "the answer does not repeat its message's mark",
  "foreign-text": "the answer holds the secret of another session",
  "foreign-run": "an event of a run that is somebody else's",
  "foreign-history": "the history holds the secret of another session",
  "history-lacks-answer": "the history lacks what was answered before it was asked",
  "pieces-differ": "the pieces do not add up to the final text",
  "connection-lost": "the connection broke without a word",
  "connect-failed": "no connection could be made",
  "handshake-timeout": "the gateway accepted the connection and then said nothing",
  "store-unavailable": "a store of the gateway did not answer",
  "gateway-restarting": "the gateway was draining",
  busy: "the gateway had too much to do",
};

export function errorsSection({ reasons }: LoadTestResult): Html {
  if (reasons.length === 0) return section("Failures", "None, of any kind.");
  return section(
    "Failures",
    null,
    table(
      [
        { title: "whose" },
        { title: "request" },
        { title: "reason" },
        { title: "count", number: true },
        { title: "" },
      ],
      reasons.map(({ kind, op, reason, count }) => [
        { text: kind, tone: TONES[kind] ?? "bad" },
        op,
        reason,
        formatNumber(count),
        MEANINGS[reason] ?? "",
      ]),
    ),
  );
}
