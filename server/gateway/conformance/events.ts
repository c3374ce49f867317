import type { Frame } from "../../testing/frame-log.ts";

/** Events about a session or a run of one case, in the order in which a socket got them. */
export const eventsOf = (frames: readonly Frame[], prefix: string): Frame[] =>
  frames.filter(({ type, payload }) => {
    if (type !== "event" || payload === undefined) return false;
    const { sessionKey, key, runId } = payload;
    return [sessionKey, key, runId].some((name) => typeof name === "string" && name.includes(prefix));
  });

const word = (value: unknown): string => (typeof value === "string" ? value : "");
const step = (phase: unknown): string => (typeof phase === "string" ? `/${phase}` : "");

/** What an event says, in two or three words: `agent lifecycle/start`, `chat delta`, `sessions.changed send`. */
export function eventName({ event = "", payload = {} }: Frame): string {
  const { state, phase, stream, reason } = payload;
  if (event === "chat") return `chat ${word(state)}${step(phase)}`;
  if (event === "agent") {
    const data = (payload["data"] ?? {}) as Record<string, unknown>;
    const letGo = data["phase"] === "model" && data["model"] === null ? " null" : "";
    return `agent ${word(stream)}${step(data["phase"])}${letGo}`;
  }
  if (event === "session.message") {
    const { role } = (payload["message"] ?? {}) as Record<string, unknown>;
    return `session.message ${word(role)}`;
  }
  return event === "sessions.changed" ? `sessions.changed ${word(reason ?? phase)}` : event;
}
