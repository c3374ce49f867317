import type { Documented } from "../documented.ts";

/** What is told of runs and sessions. */
export const eventDifferences: readonly Documented[] = [
  {
    id: "fewer-phases",
    what: "A run is told with fewer steps: no `preparing_workspace`, no `run_status` of `starting_model`, no `lifecycle` of `finishing`, `fallback_step` and of a model that is let go, and no `usage` of an answer without tools (`chat final` has it).",
    why: "Every read-scoped socket gets every step of every run; these say nothing that the others do not say. The clients were tried without them.",
    lines: [
      "missing events: * › * order › {chat status/preparing_workspace,agent run_status/preparing_workspace,agent run_status/starting_model,agent lifecycle/finishing,agent lifecycle/model null,agent usage}",
      "missing events: * › *{chat status/preparing_workspace,agent run_status/preparing_workspace,agent run_status/starting_model,agent lifecycle/finishing,agent lifecycle/model null,agent usage}",
      "missing events: a model that fails › events *lifecycle/fallback_step",
      "extra events: * › *chat final.usage",
    ],
    sometimes: ["missing events: * › * order › agent lifecycle/model"],
  },
  {
    id: "run-seq",
    what: "Payloads of `chat` and `agent` carry `runSeq` as well, and all `agent` payloads the `sessionId`; the end of a run has no `livenessState`, `replayInvalid` and `terminalReceipt`.",
    why: "`runSeq` is what openclaw-ha.runs.follow takes back, so that a client can go on where it was on another gateway. The others tell of recovery on one machine.",
    lines: [
      "extra events: * › *.runSeq",
      "extra events: * › *agent *.sessionId",
      "missing events: * › *agent lifecycle/end.data.{livenessState,replayInvalid,terminalReceipt}",
    ],
    sometimes: ["missing events: * › *agent *.sessionId"],
  },
  {
    id: "sessions-changed",
    what: "sessions.changed comes at `send`, start (reason and phase in one) and end of a run, not again for the model and the participants; its row is under `session` alone and not a second time beside it. session.message names its run and brings no session row.",
    why: "The genuine event is 6 KB, half of it a copy. TUI and Control UI read the row from `session` or ask for it.",
    lines: [
      "length events: * › events sessions.changed",
      "missing events: * › events sessions.changed {participants,start,model,end}",
      "missing events: * › events sessions.changed error",
      "extra events: * › events sessions.changed send",
      "extra events: * › events sessions.changed {agent.run.started,agent.input.settled}.{phase,runId}",
      "value * › *sessions.changed *.rowCopied",
      "value * › *session.message {user,assistant}.{row,rowCopied}",
      "extra events: * › *session.message user.runId",
    ],
    // A genuine session is placed anew by the moment, and its changes of one moment are told as one.
    sometimes: [
      "extra events: * › events sessions.changed {agent.run.started,agent.input.settled}",
      "length * › events sessions.changed",
      "value * › events sessions.changed[]",
      "missing * › events sessions.changed placement",
    ],
  },
  {
    id: "abort-rows",
    what: "An abort is told as `lifecycle/end` and then `chat aborted`, as every end is (there the other way round, with a late `lifecycle/error`); what was said so far is a row of its model with stopReason `aborted`, not an injected one.",
    why: "One order for all ends. The row says who wrote it.",
    lines: [
      "{missing,extra} events: an abort › events order › {chat aborted,agent lifecycle/end}",
      "missing events: an abort › events {order › agent lifecycle/error,agent lifecycle/error}",
      "value events: an abort › {events session.message assistant.message,history[]}.{stopReason,provider,model}",
      "missing events: an abort › {events session.message assistant.message,history[]}.{usage,api,idempotencyKey,openclawAbort,__openclaw.idempotencyKey}",
    ],
    sometimes: ["{missing,extra} events: an abort › events order › session.message assistant"],
  },
  {
    id: "failed-runs",
    what: "A failed run says what failed and what to do next, in one `chat error` and in the row that it leaves: told before the end, without a cost, and marked `excludeFromContext`. The genuine gateway sends `chat error` twice.",
    why: "A defect that is not copied: clients showed the error twice. No model is to read what failed.",
    lines: [
      "value events: a model that fails › events {chat error.errorMessage,agent lifecycle/error.data.error}",
      "{missing,extra} events: a model that fails › events chat error.{errorDetail.*}",
      "extra events: a model that fails › events chat error.errorKind",
      "missing events: a model that fails › events agent lifecycle/error.data.{livenessState,errorObservation}",
      "value events: a model that fails › {events session.message assistant.message,history[]}.content[].text",
      "missing events: a model that fails › {events session.message assistant.message,history[]}.usage.cost",
      "extra events: a model that fails › {events session.message assistant.message,history[]}.excludeFromContext",
      "value agent: a model that fails › new second.{payload.summary,error.message}",
    ],
    sometimes: ["{missing,extra} events: a model that fails › events order › *"],
  },
  {
    id: "tool-rows",
    what: "Rows of a tool turn are told by session.message as they become durable: the call and its result. The genuine gateway tells the last answer alone. `item` events have a title of the tool's name, no times and no error text.",
    why: "A subscriber sees every row once, in order; the Control UI shows them as they come.",
    lines: [
      "extra events: a call of a tool that is not there › events {order › session.message toolResult,order › session.message assistant,session.message toolResult}",
      "{value,extra,missing} events: a call of a tool that is not there › events session.message assistant.message.content[].*",
      "value events: a call of a tool that is not there › events session.message assistant.message.{stopReason,usage.*}",
      "value events: a call of a tool that is not there › events agent {tool/result.data.result.content[].text,item/start.data.title,item/end.data.title,item/end.data.status}",
      "missing events: a call of a tool that is not there › events agent {tool/result.data.result.details,tool/result.data.commandBearing,item/start.data.startedAt,item/start.data.commandBearing,item/end.data.startedAt,item/end.data.endedAt,item/end.data.error,item/end.data.commandBearing}",
    ],
    sometimes: [
      "{missing,extra} events: a call of a tool that is not there › events order › *",
      "{length,value,extra,missing} events: a call of a tool that is not there › history*",
    ],
  },
  {
    id: "one-run-one-answer",
    what: "A message that has to wait keeps its run id to its answer: its one `chat final` carries that answer. The genuine gateway sends an empty `final` at once and answers under another run id.",
    why: "A defect that is not copied: a client that waits for its run gets its answer.",
    lines: ["value events: two messages, {steer,followup,collect} › terminal events.second[]"],
  },
  {
    id: "interrupt-keeps-text",
    what: "An interrupted answer stays in the history as far as it was said, and the acknowledgement has no `interruptedActiveRun`.",
    why: "What a user has read does not vanish. Which run is interrupted is decided with the commit, and told by its `chat aborted`.",
    lines: [
      "missing events: two messages, interrupt › second ack.payload.interruptedActiveRun",
      "length events: two messages, interrupt › history",
    ],
  },
  {
    id: "reset-is-told",
    what: "`sessions.changed` with the reason `reset` reaches every subscriber; on the genuine gateway it may come after the answer by so much that it is not recorded.",
    why: "The order of `sessions.changed` beside the rest is loose on both sides.",
    lines: [],
    sometimes: ["{extra,missing} sessions.reset: after a turn › events sessions.changed reset"],
  },
  {
    id: "row-places",
    what: "Where the rows of a turn stand among its steps is loose on both sides: a user's row comes before the start of the answer, an assistant's before the end.",
    why: "Rows are told when they are durable.",
    lines: [],
    sometimes: ["{missing,extra} events: * › *order › session.message {user,assistant}"],
  },
];
