import type { PlantedBug } from "./planted-bug.ts";

/** Bugs of queue modes: what becomes of a message that finds its session busy. */
export const QUEUE_MODE_BUGS: readonly PlantedBug[] = [
  {
    name: "steered-message-forgotten",
    what: "a run that another worker goes on with has forgotten what was steered into it",
    promise: "no-lost-ack",
    trial: "queue-modes",
    edits: [
      {
        file: "server/worker/load-context.ts",
        find: "row.runId === grant.runId && row.seq > userRow.seq;",
        replace: 'row.runId === grant.runId && row.seq > userRow.seq && !row.messageId.endsWith(":user");',
      },
    ],
  },
  {
    name: "collected-message-dropped",
    what: "of messages that are collected into one turn the second is left out",
    promise: "no-lost-ack",
    trial: "queue-modes",
    edits: [
      {
        file: "migrate/sql/000004_claim.sql",
        find: "      || rtrim(collectable_text(v_run.input_body), E' \\t\\r\\n');",
        replace:
          "      || CASE WHEN v_count = 2 THEN '' ELSE rtrim(collectable_text(v_run.input_body), E' \\t\\r\\n') END;",
      },
    ],
  },
  {
    name: "interrupted-run-told-twice",
    what: "a run that is interrupted is told as answered, and then as aborted",
    promise: "no-lost-ack",
    trial: "queue-modes",
    edits: [
      {
        file: "server/worker/execute-run.ts",
        find: "  stream.emit(terminalEvent(outcome, stream.text()));",
        replace:
          '  if (status === "aborted") stream.emit({ type: "final", text: stream.text(), stopReason: "stop" });\n' +
          "  stream.emit(terminalEvent(outcome, stream.text()));",
      },
    ],
  },
];
