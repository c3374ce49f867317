import type { Frame } from "../../testing/frame-log.ts";

/** Events about a session or a run of one case, in the order in which a socket got them. */
export const eventsOf = (frames: readonly Frame[], prefix: string): Frame[] =>
  frames.filter(({ type, payload }) => {
    if (type !== "event" || payload === undefined) return false;
    const { sessionKey, key, runId } = payload;
    return [sessionKey, key, runId].some((name) => typeof name === "string" && name.includes(prefix));
  });

/** What an event says, in two or three words: `agent lifecycle/start`, `chat delta`, `sessions.changed send`. */
export function eventName({ event, payload = {} }: Frame): string {
  const { state, phase, stream, data, message, reason } = payload as Record<string, Record<string, unknown> | string>;
  switch (event) {
    case "chat":
      return `chat ${String(state)}${typeof phase === "string" ? `/${phase}` : ""}`;
    case "agent": {
      const inner = typeof data === "object" ? data["phase"] : undefined;
      const model = typeof data === "object" && inner === "model" && data["model"] === null ? " null" : "";
      return `agent ${String(stream)}${typeof inner === "string" ? `/${inner}` : ""}${model}`;
    }
    case "session.message":
      return `session.message ${typeof message === "object" ? String(message["role"]) : ""}`;
    case "sessions.changed":
      return `sessions.changed ${String(reason ?? phase)}`;
    default:
      return String(event);
  }
}
