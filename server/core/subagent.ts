import { createHash } from "node:crypto";
import type { AgentId, RunId, SessionKey, TenantId } from "./ids.ts";
import { sessionKey } from "./ids.ts";
import type { RunRecord } from "./run.ts";

/** A run that another run has spawned, in a session of its own. */
export interface Subagent {
  readonly tenant: TenantId;
  readonly runId: RunId;
  readonly sessionKey: SessionKey;
  /** The run that spawned it, and the session that is told of its end. */
  readonly requesterRunId: RunId;
  readonly requesterKey: SessionKey;
  readonly task: string;
  readonly label: string | null;
  /** What becomes of its session once the end has been announced. */
  readonly cleanup: "keep" | "delete";
}

/** A subagent with its run. */
export interface SubagentRun {
  readonly child: Subagent;
  readonly run: RunRecord;
}

/** The id that a tool call gives its child: the same for every execution of the call, of any attempt. */
export function subagentId(tenant: TenantId, run: RunId, toolCallId: string): RunId {
  const hex = createHash("sha256").update(`${tenant}\0${run}\0${toolCallId}`).digest("hex");
  // In the shape of a UUID of version 8 (RFC 9562): clients expect one.
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20, 32)].join("-") as RunId;
}

export const subagentSessionKey = (agent: AgentId, id: string): SessionKey =>
  sessionKey(`agent:${agent}:subagent:${id}`);

/** Id of the run that tells the parent's session of a child's end, as the genuine gateway names it. */
export const announcementId = ({ sessionKey: key, runId }: Subagent): RunId =>
  `announce:v1:${key}:${runId}` as RunId;
