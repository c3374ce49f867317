import { randomUUID } from "node:crypto";
import type { PlannedTenant } from "../../loadtest/k6/lib/plan.ts";
import { HAError } from "../../server/core/errors.ts";
import type { CliContext } from "../context.ts";
import { dialFirst } from "../send/dial-first.ts";
import { openGatewaySession } from "../send/gateway-session.ts";
import { sendMessage } from "../send/send-message.ts";

/** The demo model's answer to one short message takes milliseconds. */
const TIMEOUT_MS = 15_000;

/**
 * One message there and back, before thousands follow: the token is right, a worker answers, and it is the demo model
 * that does. A real one would cost its owner money for every message of the load.
 * @throws HAError as the gateway refused; CONFIG_INVALID for another model; TIMEOUT
 */
export async function preflight(context: CliContext, { id, token, url }: PlannedTenant): Promise<void> {
  const { clock, random, version } = context;
  const runId = `load-preflight-${randomUUID()}`;
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const signal = AbortSignal.any([context.signal, deadline]);
  const quiet = { onSending() {}, onAccepted() {}, onEvent() {}, onInterruption() {}, onRefused() {} };
  const result = await sendMessage(
    { sessionKey: runId, message: `[[demo text="${runId} is heard"]] Say hello.`, runId },
    quiet,
    {
      open: ({ onEvent, signal: until }) =>
        dialFirst((ended) => openGatewaySession({ url, token, version, onEvent, signal: ended }), {
          clock,
          signal: until,
        }),
      clock,
      random,
      signal,
    },
    { follow: true },
  ).catch((error: unknown) => {
    context.signal.throwIfAborted();
    if (!deadline.aborted) throw error;
    throw new HAError(
      "TIMEOUT",
      `a first message of tenant ${id} has no answer after ${TIMEOUT_MS / 1_000} s`,
      {
        hint: "is the deployment busy, or without a worker? See `openclaw-ha status` and `openclaw-ha runs list`",
      },
    );
  });
  if (result?.status === "ok" && result.text === `${runId} is heard`) return;
  if (result?.status !== "ok") {
    throw new HAError(
      "MODEL_FAILED",
      `a first message of tenant ${id} failed: ${result?.error?.message ?? "no answer"}`,
    );
  }
  throw new HAError("CONFIG_INVALID", "this gateway does not answer with the demo model", {
    hint: "load tests measure the service, not a provider, and would be billed: load a deployment without an openclaw.json of its own",
  });
}
