import { HAError } from "../../core/errors.ts";
import { runId as asRunId, type SessionKey } from "../../core/ids.ts";
import type { RunOptions, RunRecord } from "../../core/run.ts";
import type { RunEvent } from "../../core/run-event.ts";
import { laneOfSession } from "../../core/lane.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import type { NewMessage, TranscriptMessage } from "../../core/transcript.ts";
import type { AnswerRequest } from "../../ports/run-ledger.ts";
import { requestHash } from "../accept-run.ts";
import { tellSession } from "../methods/notices.ts";
import type { Call } from "../methods/registry.ts";
import { requestConflict } from "../protocol/errors.ts";
import type { CommandReply } from "./command.ts";

/** What became of a message that is a command. */
export type CommandOutcome =
  /** It has its answer. `tell` gives it to those who follow the session: call it once the request is acknowledged. */
  | {
      readonly kind: "answered";
      readonly run: RunRecord;
      /** Its end is told by `tell`; otherwise there is nothing to wait for. */
      readonly started: boolean;
      /** Fields of the acknowledgement beside the run's. */
      readonly extra: Readonly<Record<string, unknown>>;
      readonly tell: () => void;
    }
  /** The command has done its part; this text is left for the model. */
  | {
      readonly kind: "message";
      readonly message: string;
      /** What the run is to do with it beside the request's own options. */
      readonly options: Pick<RunOptions, "compact">;
    };

/**
 * Answers a message that is a command, without a model and beside whatever the session is doing. Null: an ordinary
 * message. A key that was seen before is answered as it was then, and the command is not run again.
 * @throws HAError REQUEST_CONFLICT, FORBIDDEN, STORE_UNAVAILABLE
 */
export async function runCommand(
  call: Call,
  sessionKey: SessionKey,
  idempotencyKey: string,
  message: string,
): Promise<CommandOutcome | null> {
  const { gateway, tenant } = call;
  const found = gateway.commands.parse(message);
  if (found === null) return null;
  const runId = asRunId(idempotencyKey);
  const seen = (await gateway.ledger.get(tenant, runId)) !== null;
  const reply: CommandReply = seen
    ? { text: "" }
    : await found.command.run({ call, sessionKey, idempotencyKey, args: found.args });
  if (reply.message !== undefined) {
    const options = reply.compact === undefined ? {} : { compact: reply.compact };
    return { kind: "message", message: reply.message, options };
  }

  const request: AnswerRequest = {
    tenant,
    runId,
    sessionKey,
    agentId: agentOfSessionKey(sessionKey),
    lane: laneOfSession(sessionKey),
    requestHash: requestHash({ message, attachments: [], options: {} }),
    newSessionId: gateway.random.uuid(),
    result: { text: reply.text, stopReason: "stop" },
    messages: seen || reply.silent ? [] : await rowsOf(call, idempotencyKey, message, reply.text),
    ...(reply.patch === undefined ? {} : { patch: reply.patch }),
  };
  const answer = await gateway.ledger.answer(request);
  switch (answer.kind) {
    case "new": {
      const { run, token, rows } = answer;
      const tell = (): void => {
        if (reply.patch !== undefined) tellSession(call, sessionKey, "patch");
        if (reply.silent) return;
        const { text, stopReason } = request.result;
        const body = { type: "final", text, stopReason, rows } as const;
        tellEverybody(call, { ...identity(run), token, runSeq: 1, at: gateway.clock.now(), body });
      };
      return { kind: "answered", run, started: !reply.silent, extra: reply.extra ?? {}, tell };
    }
    case "existing":
      return { kind: "answered", run: answer.run, started: false, extra: {}, tell: () => undefined };
    case "conflict":
      throw requestConflict();
    case "refused":
      throw new HAError("FORBIDDEN", "this tenant is disabled", { reason: answer.reason });
    default:
      return answer satisfies never;
  }
}

/** This gateway's connections at once, those of others over the bus; where it is away they see the rows when they read. */
function tellEverybody({ gateway, hub }: Call, event: RunEvent): void {
  hub.onEvents([event]);
  gateway.bus.publish([event]).catch(() => undefined);
}

const identity = ({ tenant, sessionKey, agentId, runId }: RunRecord) => ({
  tenant,
  sessionKey,
  agentId,
  runId,
});

/** Question and answer, as OpenClaw writes them: seen by people, not by models. */
async function rowsOf(
  { gateway, tenant }: Call,
  idempotencyKey: string,
  asked: string,
  answered: string,
): Promise<NewMessage[]> {
  const timestamp = gateway.clock.now();
  const unseen = { timestamp, excludeFromContext: true, __openclaw: { contextFreeCommand: true } };
  const question: TranscriptMessage = { role: "user", content: asked, ...unseen };
  const answer: TranscriptMessage = {
    role: "assistant",
    content: [{ type: "text", text: answered }],
    stopReason: "stop",
    usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0 },
    provider: "openclaw",
    model: "gateway-injected",
    ...unseen,
  };
  const [user, assistant] = await Promise.all([
    gateway.bodies.store(tenant, question),
    gateway.bodies.store(tenant, answer),
  ]);
  return [
    {
      messageId: `${idempotencyKey}:user`,
      idempotencyKey: `${idempotencyKey}:user`,
      body: user,
    },
    { messageId: `${idempotencyKey}:answer`, idempotencyKey, body: assistant },
  ];
}
