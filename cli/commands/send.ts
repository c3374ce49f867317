import { randomUUID } from "node:crypto";
import { Command } from "commander";
import { HAError } from "../../server/core/errors.ts";
import type { CliContext } from "../context.ts";
import type { SendObserver } from "../send/send-message.ts";

interface SendFlags {
  readonly session: string;
  readonly agent?: string;
  readonly idempotencyKey?: string;
  readonly tenant: string;
  readonly wait: boolean;
}

/** The largest frame a gateway reads is 25 MiB; a message must fit with its envelope. */
const MESSAGE_MAX_BYTES = 24 * 1024 * 1024;

export const sendCommand = (context: CliContext): Command =>
  new Command("send")
    .description("send a message to a session and stream the answer")
    .argument("<message>", "the text, or - to read it from stdin")
    .option("--session <key>", "session key", "main")
    .option("--agent <id>", "agent of the session (default: the configuration's)")
    .option(
      "--idempotency-key <key>",
      "names the run: the same key and message never run twice (default: random)",
    )
    .option("--tenant <tenant>", "as whom", "default")
    .option("--no-wait", "print the run's id and end once it is acknowledged")
    .addHelpText(
      "after",
      `
Exit code 0 when answered, 1 when the run failed, was aborted or timed out.
Ctrl-C stops watching, not the run: go on with the same --idempotency-key and message, or end it with
\`openclaw-ha runs cancel RUN\`.
With --json: one event a line, the last one {"type":"result","runId","sessionKey","status","text","usage"}.`,
    )
    .action((message: string, flags: SendFlags) => send(context, message, flags));

/** What the end of the command has to know. */
interface Progress {
  run: "not sent" | "sent" | "accepted";
  atLineStart: boolean;
}

async function send(context: CliContext, argument: string, flags: SendFlags): Promise<void> {
  const { output, signal } = context;
  const [{ gatewayAccess }, { dialFirst }, { openGatewaySession }, { sendMessage }] = await Promise.all([
    import("../deployment.ts"),
    import("../send/dial-first.ts"),
    import("../send/gateway-session.ts"),
    import("../send/send-message.ts"),
  ]);
  const message = await readMessage(context, argument);
  const access = await gatewayAccess(context, flags.tenant);
  const runId = flags.idempotencyKey ?? randomUUID();
  const state: Progress = { run: "not sent", atLineStart: true };
  try {
    const result = await sendMessage(
      { sessionKey: sessionKeyOf(flags), message, runId },
      observer(context, state, flags.wait),
      {
        open: ({ onEvent, signal: until }) =>
          dialFirst(
            (ended) => openGatewaySession({ ...access, version: context.version, onEvent, signal: ended }),
            { clock: context.clock, signal: until },
          ),
        clock: context.clock,
        random: context.random,
        signal,
      },
      { follow: flags.wait },
    );
    if (result === null) return;
    if (!state.atLineStart) output.text("\n");
    output.event(result, () => null);
    if (result.status !== "ok") {
      context.setExitCode(1);
      if (!output.json)
        output.warning(`run ${runId} ended as ${result.status}: ${result.error?.message ?? "no answer"}`);
    }
  } catch (error) {
    if (!state.atLineStart) output.text("\n");
    const show = `${context.program} runs show ${runId}`;
    if (state.run === "accepted") output.progress(`run ${runId} is acknowledged and goes on: ${show}`);
    if (state.run === "sent") output.progress(`run ${runId} may have been accepted: ${show}`);
    throw error;
  }
}

/** Shows what happens to the run; `state` remembers what the end of the command has to say about it. */
function observer({ output }: CliContext, state: Progress, wait: boolean): SendObserver {
  let told = false;
  const breakLine = (): void => {
    if (!state.atLineStart) output.text("\n");
    state.atLineStart = true;
  };
  return {
    onSending() {
      if (state.run === "not sent") state.run = "sent";
    },
    onRefused() {
      if (state.run === "sent") state.run = "not sent";
    },
    onAccepted(run) {
      state.run = "accepted";
      output.event({ type: "accepted", ...run }, ({ runId }) => (wait ? null : runId));
    },
    onEvent(event, step) {
      told = false;
      if (step.contradicted) {
        breakLine();
        if (!output.json)
          output.warning("the run was taken over and its answer changed; it starts again below");
      }
      const print = state.atLineStart ? step.print.replace(/^\n/, "") : step.print;
      output.text(print);
      if (print !== "") state.atLineStart = print.endsWith("\n");
      if (!step.result) output.event({ type: event.state, ...eventFields(event) }, () => null);
    },
    onInterruption(error) {
      if (told || output.json) return;
      told = true;
      output.progress(`${error.message}; trying again`);
    },
  };
}

const eventFields = ({
  runId,
  sessionKey,
  runSeq,
  deltaText,
  replace,
}: {
  runId: string;
  sessionKey: string;
  runSeq?: number;
  deltaText?: string;
  replace?: boolean;
}): Record<string, unknown> => ({
  runId,
  sessionKey,
  runSeq,
  text: deltaText,
  ...(replace ? { replace } : {}),
});

/** `--agent work --session notes` is `agent:work:notes`; a full key is taken as it is. */
function sessionKeyOf({ session, agent }: SendFlags): string {
  return agent === undefined || session.startsWith("agent:") ? session : `agent:${agent}:${session}`;
}

async function readMessage({ stdin }: CliContext, argument: string): Promise<string> {
  if (argument !== "-") return checked(argument);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    bytes += chunk.byteLength;
    if (bytes > MESSAGE_MAX_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return checked(
    Buffer.concat(chunks)
      .toString("utf8")
      .replace(/\r?\n$/, ""),
  );
}

function checked(message: string): string {
  if (message.trim() === "") throw new HAError("REQUEST_INVALID", "the message is empty");
  if (Buffer.byteLength(message) > MESSAGE_MAX_BYTES) throw tooLarge();
  return message;
}

const tooLarge = (): HAError =>
  new HAError("REQUEST_INVALID", `the message is larger than ${MESSAGE_MAX_BYTES / 1024 / 1024} MiB`);
