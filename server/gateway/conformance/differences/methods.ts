import type { Documented } from "../documented.ts";

/** Answers of methods. */
export const methodDifferences: readonly Documented[] = [
  {
    id: "status-of-a-pool",
    what: "status tells of the gateway that answers (instance, connections, runs); figures of one process (workers, desktop, audits, shutdown budget) are not there. Its recent sessions have token counts and no flags.",
    why: "Work of a pool is done by other processes; `openclaw-ha status` shows them all.",
    lines: [
      "missing status: plain › answer.{hostDesktop,degradedSecretOwners,degradedPlugins,taskAudit,workerPools,pid,shutdownBudget}",
      "missing status: plain › answer.processMemory.{heapTotalBytes,externalBytes,arrayBuffersBytes}",
      "length status: plain › {answer.heartbeat.agents,answer.queuedSystemEvents,sessions.paths}",
      "extra status: plain › {answer.gateway,sessions.defaults.*}",
      "missing status: plain › recent session.{totalTokens,totalTokensFresh,remainingTokens,percentUsed,model,configuredModel,selectedModel,modelSelectionReason,runtime,contextTokens,flags}",
      "extra status: plain › recent session.{inputTokens,outputTokens}",
    ],
  },
  {
    id: "agent-names",
    what: "An agent without a name is called by its id, in agents.list as well; the genuine gateway calls it `Assistant`. agents.list has no permission mode and no git state, and a runtime `openclaw` in place of `auto`.",
    why: "With several agents, several `Assistant`s cannot be told apart. A pool has one runtime, and no workspace of a gateway's own.",
    lines: [
      "value agent.identity.get: {plain,by id,by session} › answer.payload.{name,nameSource,avatar}",
      "missing agents.list: plain › answer.payload.agents[].{workspaceGit,defaultPermissionMode}",
      "extra agents.list: plain › answer.payload.agents[].{kind,name}",
      "value * › *agentRuntime.id",
    ],
  },
  {
    id: "canonical-keys",
    what: "chat.history answers with the canonical session key; the genuine gateway repeats the key as it was sent. `thinkingLevel` is always there (there, once a run has been made).",
    why: "Clients filter events by the canonical key, and learn it here.",
    lines: [
      "value chat.history: {nothing yet,after a turn,while a run is under way} › answer.payload.sessionKey",
    ],
    sometimes: ["extra chat.history: * › answer.payload.thinkingLevel"],
  },
  {
    id: "run-in-flight",
    what: "The run in flight of chat.history has its text so far, and no list of its events.",
    why: "A gateway keeps texts, not events; openclaw-ha.runs.follow and the next `chat delta` go on from the text.",
    lines: ["missing chat.history: while a run is under way › answer.payload.inFlightRun.events"],
  },
  {
    id: "slash-commands",
    what: "commands.list has the commands that the pool runs, about ten; `/model` sets the session's model alone. Every command and its answer is marked `excludeFromContext` (there, not `/new`), the answer names its run and no API, and `/stop` is acknowledged with its `runId` and `status` as well.",
    why: "A list offers what works. No model is to read what people say to the gateway, and a key that was used names its answer.",
    lines: [
      "value commands.list: plain › model.description",
      "value chat.send: slash commands › what it left.payload.sessionKey",
      "extra chat.send: slash commands › what it left.payload.messages[].__openclaw.{reason,recordTimestampMs,contextFreeCommand,runId}",
      "extra chat.send: slash commands › what it left.payload.messages[].excludeFromContext",
      "missing chat.send: slash commands › what it left.payload.messages[].api",
      "missing chat.send: slash commands › what it left.payload.messages[].usage.cost",
      "missing chat.send: slash commands › what it left.payload.sessionInfo.totalTokens",
      "value chat.send: slash commands › what it left.payload.sessionInfo.{totalTokensFresh,activeLeafEntryId}",
      "extra chat.send: slash commands › nothing to stop.payload.{runId,status}",
    ],
  },
  {
    id: "no-provider-accounts",
    what: "chat.metadata offers no account selection and no swarm, models.authStatus no provider capabilities, config.get no applied hash, update.status names its installation.",
    why: "Credentials of a pool are its operator's, in openclaw.json; users connect no accounts of their own.",
    lines: [
      "value chat.metadata: plain › answer.swarmEnabled",
      "missing chat.metadata: plain › answer.accountSelection",
      "length models.authStatus: plain › answer.payload.providerCapabilities",
      "missing config.get: shape › fields.appliedConfigHash",
      "extra update.status: plain › answer.payload.schedule.install",
    ],
  },
  {
    id: "startup-in-parts",
    what: "chat.startup carries the agents and the metadata of its chat at once; a genuine gateway without a Control UI leaves them to requests of their own.",
    why: "One read in place of three, and what a Control UI needs to be able to send.",
    lines: ["{missing,length,value} chat.startup: after a turn › *"],
  },
  {
    id: "compaction-result",
    what: "sessions.compact tells the tokens before and after, and not the summary.",
    why: "The summary is a row of the history.",
    lines: [
      "missing sessions.compact: nothing to compact › a short one.payload.result.{summary,firstKeptEntryId,details}",
      "extra sessions.compact: nothing to compact › a short one.payload.result.tokensAfter",
    ],
  },
  {
    id: "injected-rows",
    what: "The row of chat.inject has no cost and no API name.",
    why: "No model was asked, and nothing was paid.",
    lines: [
      "missing chat.inject: into a session › {events session.message assistant.message,events chat final.message,rows[]}.{usage.cost,api}",
    ],
  },
  {
    id: "agent-target",
    what: "The first response of agent always names the session that the run is in; where the time runs out, the answer is what was said until then, in place of a notice.",
    why: "A client that named no session finds it again. What has been said is not thrown away.",
    lines: [
      "extra agent: where it runs › {to somebody,to nobody,by an id that none has}.payload.sessionKey",
      "value agent: how it runs › timed.payloads[].text",
      "missing agent: how it runs › timed.payloads[].isError",
    ],
  },
  {
    id: "agent-meta",
    what: "The `meta` of an agent's answer has session, model, usage, times and how it ended, and not the report of the prompt, the execution trace and the budget; usage has `totalTokens`.",
    why: "`openclaw agent` prints none of it, and an empty meta was found to be enough.",
    lines: [
      "missing agent: two responses › {new second,again after it first}.payload.result.{meta.systemPromptReport,sourceReplyDeliveryState}",
      "missing agent: two responses › *.payload.result.meta.{agentMeta.contextTokens,agentMeta.contextTokensSource,agentMeta.agentHarnessId,agentMeta.credentialSource,agentMeta.usage.cost,agentMeta.lastCallUsage,agentMeta.promptTokens,agentMeta.contextBudgetStatus,agentMeta.codeModeEngaged,agentMeta.assistantTurns,agentMeta.bridgeCalls,agentMeta.costUsd,agentMeta.terminalReceipt,finalPromptText,finalAssistantVisibleText,finalAssistantRawText,replayInvalid,livenessState,executionTrace,requestShaping,completion}",
      "extra agent: two responses › *.payload.result.meta.agentMeta.usage.totalTokens",
    ],
  },
  {
    id: "wait-answers",
    what: "agent.wait has no receipt and no copy of the reply, but times and stop reason also for a run that ended before.",
    why: "The reply is in the history; the same answer whenever it is asked.",
    lines: [
      "missing agent.wait: ended run › {while it ran,after it}.payload.{terminalReceipt,terminalReply}",
      "missing agent.wait: ended run › while it ran.payload.livenessState",
      "extra agent.wait: ended run › after it.payload.{startedAt,stopReason}",
    ],
  },
  {
    id: "cron-jobs",
    what: "Cron jobs have no tool policy; revisions are hashes of our own; a preview of the delivery says that the answer is in the job's session. cron.status has no file. A job needs a name and a target that exists, and errors say `cron job` and name the field without the method.",
    why: "A pool has no channels to deliver to. The genuine gateway makes up a name, and accepts a target that it can never run.",
    lines: [
      "missing cron: a job's life › *{payload.toolsAllow,scheduledToolPolicy,state.scheduleActivatedAtMs}",
      "value cron: a job's life › *{configRevision,snapshotRevision,.detail,list.payload.limit}",
      "value {cron: a job's life › remove again,cron.run: unknown job › answer}.error.message",
      "{value,extra,missing} cron.add: bad params › {no name,unknown target}.*",
      "value cron.add: bad params › {no schedule,no payload,an unknown kind,a bad expression}.error.message",
      "missing cron.status: shape › fields.sqlitePath",
    ],
    sometimes: [
      "value cron.status: shape › fields.nextWakeAtMs",
      "value cron: a job's life › get after it.error.message",
    ],
  },
  {
    id: "abort-names-runs",
    what: "sessions.abort also lists all runs that it ended.",
    why: "It ends the queued ones with the running one.",
    lines: ["extra sessions.abort: runs › running.payload.runIds"],
  },
];
