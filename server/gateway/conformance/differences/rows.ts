import type { Documented } from "../documented.ts";

/** Session rows and transcript rows, wherever they are shown. */
export const rowDifferences: readonly Documented[] = [
  {
    id: "session-row-runtime",
    what: "Session rows have no fast mode, permission mode, response usage, cost, context budget, activity summary and placement times, no start and end of the last run, and no marks of a run that was told or cut off (`systemSent`, `abortedLastRun`); `agentRuntime` offers no placement.",
    why: "They tell of things that a pool does not have (fast mode, placement on a user's devices), or of the last run, which agent.wait and events tell. Clients show them where they are there.",
    lines: [
      "missing * › *{sessions[],sessionInfo,session}.{permissionModePending,systemSent,abortedLastRun,effectiveFastMode,effectiveFastModeSource,fastAutoOnSeconds,startedAt,effectiveResponseUsage,runtimeSelectionLocked,agentRuntime.cloudPlacementExecutionMode,agentRuntime.devicePlacement,placement.createdAtMs,placement.updatedAtMs,placement.stateChangedAtMs}",
      "missing * › *{sessions[],sessionInfo,session}.{estimatedCostUsd,endedAt,runtimeMs,contextBudgetStatus}",
      "missing * › *{sessionInfo,session}.activitySummary",
      "missing chat.history: while a run is under way › answer.payload.sessionInfo.{activeModelProvider,activeModel,totalTokens}",
      "value * › *{sessions[],sessionInfo,session}.agentRuntime.{cloudPlacementSupported,devicePlacementSupported}",
    ],
  },
  {
    id: "session-row-people",
    what: "Session rows name no participants, and `createdVia` is `send` for a session that a message made.",
    why: "A tenant's operators share its token, so there is nobody to tell apart.",
    lines: [
      "missing * › *{sessions[],sessionInfo,session}.expandedParticipants",
      "{value} * › *{sessions[],sessionInfo,session}.{participantCount,createdVia}",
      "length * › *{sessions[],sessionInfo,session}.participants",
      "value sessions.reset: after a turn › {answer,as new}.payload.entry.createdVia",
    ],
  },
  {
    id: "session-row-tokens",
    what: "`totalTokens` counts input and output of the session's last answer; the genuine gateway counts the prompt alone. A session has token counts from the beginning, and a reset does not set them to 0.",
    why: "Cosmetic, not closed yet.",
    lines: [
      "value * › *{sessions[],sessionInfo,session}.totalTokens",
      "value chat.history: while a run is under way › answer.payload.sessionInfo.totalTokensFresh",
      "extra * › *{sessions[],sessionInfo}.{inputTokens,outputTokens}",
      "value sessions.reset: after a turn › {answer,as new}.payload.entry.{inputTokens,outputTokens,totalTokens}",
      "missing sessions.reset: after a turn › *.entry.{totalTokensFresh,totalTokensVersion}",
      "missing sessions.reset: after a turn › session that is not there.payload.entry.totalTokens",
    ],
  },
  {
    id: "session-row-always-whole",
    what: "Rows of sessions that were never talked to have the same fields as others (chat type, placement, participants, last interaction), every row has its `messageCount` and `lifecycleRevision`, and history shows title and preview of its session. Custom keys are of classification `direct`. Dashboard-made sessions are no children of the main session.",
    why: "One shape for all rows; a parent would put unrelated sessions under the main one.",
    lines: [
      "extra * › *sessions[].{chatType,lastInteractionAt,placement,participants,participantCount}",
      "extra * › *{sessions[],sessionInfo,session}.{messageCount,lifecycleRevision}",
      "extra chat.history: {after a turn,while a run is under way} › answer.payload.sessionInfo.*",
      "value * › *{sessions[],sessionInfo}.classification",
      "missing * › *sessions[].{spawnDepth,parentSessionKey}",
      "missing sessions.list: rows › everything.payload.sessions[].derivedTitle",
    ],
    sometimes: [
      "extra * › *{sessions[],sessionInfo,session}.{derivedTitle,lastMessagePreview,activeRunIds,hasActiveRun,thinkingLevels,thinkingOptions,thinkingDefault,status,lastRunId}",
    ],
  },
  {
    id: "session-preview-of-the-moment",
    what: "`lastMessagePreview` is that of the last row that is durable: beside a run that is ending it may be one row ahead of the genuine gateway's, or behind.",
    why: "A list is read at one moment of the database.",
    lines: [],
    sometimes: ["value * › *{sessions[],sessionInfo,session}.lastMessagePreview"],
  },
  {
    id: "session-entries",
    what: "The `entry` and `resolved` of create, patch and reset hold the fields that the pool stores: no session root, route, switch and version marks; delivery is `internal`; a model override is one name with its provider. `path` is empty.",
    why: "There is no session file. What a client sets it gets back.",
    lines: [
      "missing sessions.*.entry.{sessionRoot,spawnDepth,parentSessionKey,modelOverrideSource,providerOverride,modelOverrideRouteResolution,liveModelSwitchPending,pinnedAt,archivedAt,archiveReason,sessionStartedAt,systemSent,abortedLastRun,compactionCount,modelProvider,model}",
      "value sessions.*.entry.{delivery.kind,modelOverride}",
      "extra sessions.*.entry.{chatType,archived,pinned,inputTokens,outputTokens,delivery}",
      "missing sessions.*.resolved.{runtimeSelectionLocked,thinkingLevel,thinkingLevels}",
      "value sessions.*.resolved.model",
      "extra sessions.*.resolved.agentRuntime",
      "value sessions.{list,subscribe,patch}: *.path",
      "extra sessions.reset: *.path",
      "length sessions.delete: and again › first.payload.archived",
    ],
    sometimes: ["extra sessions.*.entry.{totalTokens,thinkingLevel,label}"],
  },
  {
    id: "transcript-rows",
    what: "Transcript rows have a `parentId` and no `transcriptPosition`, `transport` and `senderIsOwner`; a message's own id is `<runId>:user`; a reset row carries its reason and time.",
    why: "Positions are offsets in a session file; here `seq` is the position. The other two tell one person's clients apart.",
    lines: [
      "missing * › *__openclaw.{transcriptPosition,transport,senderIsOwner}",
      "missing * › *session.message user.senderIsOwner",
      "extra * › *__openclaw.parentId",
      "value * › *{__openclaw.id,session.message user.messageId}",
      "extra sessions.reset: after a turn › history[].__openclaw.{reason,recordTimestampMs}",
      "value chat.history: while a run is under way › answer.payload.sessionInfo.activeLeafEntryId",
    ],
  },
];
