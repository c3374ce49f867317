import { z } from "zod";
import { asHAError, HAError } from "../../server/core/errors.ts";
import { backoffMs, type Random } from "../../server/ports/random.ts";
import type { Clock } from "../../server/ports/clock.ts";
import { answerReader, parseChatEvent, type AnswerStep, type ChatEvent, type SendResult } from "./answer.ts";
import type { GatewaySession, GatewaySessionOptions } from "./gateway-session.ts";

/** How long a gateway may be out of reach before the command gives up; a restart takes a second or two. */
export const UNREACHABLE_AFTER_MS = 30_000;
/** Overload and drains are waited out for this long while nothing is acknowledged. */
export const REFUSED_AFTER_MS = 60_000;
const RECONNECT_BASE_MS = 100;
const RECONNECT_CAP_MS = 2_000;

/** Our extension of the protocol: what was missed of a run, then what follows. */
export const FOLLOW_METHOD = "openclaw-ha.runs.follow";

export interface SendRequest {
  /** As the user gave it; the gateway answers with the canonical one. */
  readonly sessionKey: string;
  readonly message: string;
  /** The idempotency key, which names the run. */
  readonly runId: string;
}

export interface SendObserver {
  /** The message is on its way: from now on the run may exist, whatever happens. Each time it is sent. */
  onSending(): void;
  /** A gateway answered that it does not accept the message, for good: no run came of it. */
  onRefused(): void;
  /** The run is acknowledged: it will be executed whatever dies now. Once. */
  onAccepted(run: { readonly runId: string; readonly sessionKey?: string }): void;
  /** One chat event, and what it adds to what is printed. */
  onEvent(event: ChatEvent, step: AnswerStep): void;
  /** The connection was lost or refused; it is tried again. */
  onInterruption(error: HAError): void;
}

export interface SendDeps {
  readonly open: (options: Pick<GatewaySessionOptions, "onEvent" | "signal">) => Promise<GatewaySession>;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

const ackSchema = z.object({ runId: z.string(), sessionKey: z.string().optional() });

/**
 * Sends one message and follows its run to the end, over the death of any gateway: each connection repeats the send
 * under the same idempotency key, which the pool recognises, and goes on behind the last event seen.
 *
 * With `follow: false` it ends at the acknowledgement and answers null.
 * @throws HAError what the gateway refused for good; STORE_UNAVAILABLE when none is reached for UNREACHABLE_AFTER_MS;
 *   OVERLOADED when the message is not accepted for REFUSED_AFTER_MS
 * @throws AbortError (the signal's reason) when the signal aborts; the run goes on if it was acknowledged
 */
export async function sendMessage(
  request: SendRequest,
  observer: SendObserver,
  deps: SendDeps,
  options: { readonly follow: boolean },
): Promise<SendResult | null> {
  const { clock, random, signal } = deps;
  const reader = answerReader(request.runId);
  const startedAt = clock.monotonic();
  let reachedAt = startedAt;
  let accepted = false;
  let failures = 0;

  const accept = (sessionKey?: string): void => {
    if (!accepted) observer.onAccepted({ runId: request.runId, ...(sessionKey ? { sessionKey } : {}) });
    accepted = true;
  };

  /** One connection: to the result, to the acknowledgement, or to the connection's end, which throws. */
  async function connection(): Promise<SendResult | null> {
    const outcome = Promise.withResolvers<SendResult>();
    const session = await deps.open({
      signal,
      onEvent(name, payload) {
        const event = name === "chat" ? parseChatEvent(payload) : null;
        const step = event && reader.push(event);
        if (!event || !step) return;
        accept(event.sessionKey); // events may overtake the acknowledgement
        observer.onEvent(event, step);
        if (step.result) outcome.resolve(step.result);
      },
    });
    const lost = session.closed.then(() => {
      throw new HAError("STORE_UNAVAILABLE", "the connection to the gateway was lost");
    });
    try {
      // The result may come before the follow request is answered, or instead of its answer.
      return await Promise.race([outcome.promise, converse(session), lost]);
    } finally {
      // A gateway was there until now, however long the run was silent.
      reachedAt = clock.monotonic();
      lost.catch(() => {});
      session.close();
    }
  }

  /** Says what there is to say on a connection; what follows comes as events. Null where nothing is to follow. */
  async function converse(session: GatewaySession): Promise<null> {
    const { runId, message, sessionKey } = request;
    observer.onSending();
    await Promise.all([
      // Whoever waits for the answer to this message gets one: it joins no other turn.
      session
        .request("chat.send", { sessionKey, message, idempotencyKey: runId, queueMode: "followup" })
        .then(
          (answer) => accept(ackSchema.parse(answer).sessionKey),
          (error: unknown) => {
            if (!asHAError(error).retryable) observer.onRefused();
            throw error;
          },
        ),
      // The connection is told of its own session alone; asked for now, so that nothing waits for it later.
      options.follow ? session.request("sessions.messages.subscribe", { key: sessionKey }) : null,
    ]);
    if (!options.follow) return null;
    await session.request(FOLLOW_METHOD, { runId, sessionKey, afterRunSeq: reader.lastRunSeq });
    return await new Promise<never>(() => {});
  }

  for (;;) {
    const seen = reader.lastRunSeq;
    try {
      return await connection();
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asHAError(thrown);
      if (error.code === "OVERLOADED") reachedAt = clock.monotonic();
      const end = givesUp(error, {
        accepted,
        silentMs: clock.monotonic() - reachedAt,
        refusedMs: clock.monotonic() - startedAt,
      });
      if (end) throw end;
      observer.onInterruption(error);
      // The first try is immediate: the next gateway behind the shared address is up already. Connections that end
      // before they told anything are no progress.
      if (reader.lastRunSeq > seen) failures = 0;
      const pause = failures === 0 ? 0 : backoffMs(random, failures, RECONNECT_BASE_MS, RECONNECT_CAP_MS);
      failures++;
      const told = Number(error.details["retryAfterMs"] ?? 0);
      await clock.sleep(Math.max(pause, told * (0.5 + random.float())), signal);
      signal.throwIfAborted();
    }
  }
}

/** The error to end with, or null while trying again makes sense. */
function givesUp(
  error: HAError,
  since: { readonly accepted: boolean; readonly silentMs: number; readonly refusedMs: number },
): HAError | null {
  if (!error.retryable) return error;
  if (error.code === "STORE_UNAVAILABLE") {
    return since.silentMs < UNREACHABLE_AFTER_MS ? null : error;
  }
  return since.accepted || since.refusedMs < REFUSED_AFTER_MS ? null : error;
}
