import { stopRuns } from "../abort-runs.ts";
import { resetSession } from "../reset-session.ts";
import type { CommandReply, CommandRequest, SlashCommand } from "./command.ts";

/**
 * Starts a new history. With a text behind it, that text is the first message of the new history.
 *
 * The reset is known by the request's key: when the gateway dies behind it, the repeated request does not reset what
 * has been said since.
 */
async function startAnew(
  { call, sessionKey, idempotencyKey, args }: CommandRequest,
  reason: "new" | "reset",
): Promise<CommandReply> {
  if (reason === "reset" && /^soft\b/i.test(args)) {
    return {
      text: "/reset soft is not supported by this gateway. Use /reset, or /new with a first message.",
    };
  }
  await resetSession(call, sessionKey, reason, idempotencyKey);
  if (args !== "") return { text: "", message: args };
  return { text: reason === "new" ? "✅ New session started." : "✅ Session reset." };
}

/** What a compaction's row says. */
export const compactMessage = (instructions: string): string => `/compact ${instructions}`.trim();

const TEXT = [{ name: "message", description: "First message of the new history", type: "string" }] as const;

/** OpenClaw takes these for a wish to stop, whatever the session is doing. */
const STOP_PHRASES = (
  "stop|abort|esc|exit|halt|interrupt|stop run|stop agent|stop the agent|stop openclaw|openclaw stop|stop action|" +
  "stop current action|stop current run|please stop|stop please|do not do that|stop doing anything|stopp|anhalten|" +
  "aufhören|arrête|arrete|detente|deten|detén|pare|стоп|остановись|останови|остановить|прекрати|停止|停下来|暂停|" +
  "やめて|止めて|रुको|توقف"
).split("|");

/** Commands that begin and end what a session does. */
export const sessionCommands: readonly SlashCommand[] = [
  {
    name: "new",
    description: "Start a new session.",
    category: "session",
    args: TEXT,
    run: (request) => startAnew(request, "new"),
  },
  {
    name: "reset",
    description: "Reset the current session.",
    category: "session",
    args: TEXT,
    run: (request) => startAnew(request, "reset"),
  },
  {
    name: "compact",
    description: "Compact the session context.",
    category: "session",
    args: [{ name: "instructions", description: "What the summary must keep", type: "string" }],
    // It needs a model and the session's lease, and so it is a run: idempotent, in the session's order, resumed by others.
    run: async ({ args }) => ({ text: "", message: compactMessage(args), compact: { instructions: args } }),
  },
  {
    name: "stop",
    aliases: ["abort"],
    phrases: STOP_PHRASES,
    description: "Stop the current run.",
    category: "session",
    // Answered like chat.abort, and seen in no history: the aborted answer says enough.
    async run({ call, sessionKey }) {
      const { runIds, subagents } = await stopRuns(call, { sessionKey });
      const aborted = runIds.length + subagents > 0;
      const text = aborted ? "⚙️ Agent was aborted." : "⚙️ Nothing was running.";
      return { text, silent: true, extra: { ok: true, aborted, runIds } };
    },
  },
];
