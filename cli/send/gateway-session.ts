import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";
import { z } from "zod";
import { HAError } from "../../server/core/errors.ts";

/** Protocol version of OpenClaw's gateway that we speak. */
const PROTOCOL = 4;
/** From dialling to hello-ok. A gateway that is paused still accepts connections: another one is tried then. */
const HANDSHAKE_TIMEOUT_MS = 3_000;
/** A peer that is gone without a trace is noticed by unanswered pings, long before the protocol's 30 s tick. */
const PING_INTERVAL_MS = 2_000;
const REQUEST_TIMEOUT_MS = 15_000;

const frameSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("event"), event: z.string(), payload: z.unknown().optional() }),
  z.object({
    type: z.literal("res"),
    id: z.string(),
    ok: z.boolean(),
    payload: z.unknown().optional(),
    error: z
      .object({
        code: z.string(),
        message: z.string(),
        retryable: z.boolean().optional(),
        retryAfterMs: z.number().optional(),
        details: z.record(z.string(), z.unknown()).optional(),
      })
      .optional(),
  }),
]);

type GatewayError = NonNullable<Extract<z.infer<typeof frameSchema>, { type: "res" }>["error"]>;

export interface GatewaySessionOptions {
  readonly url: string;
  readonly token: string;
  readonly version: string;
  /** Called for every event, in order, until `closed` settles. */
  readonly onEvent: (event: string, payload: unknown) => void;
  readonly signal: AbortSignal;
}

/** One authenticated connection to one gateway. It does not reconnect: what to repeat is its user's knowledge. */
export interface GatewaySession {
  /**
   * @throws HAError with the gateway's refusal, or STORE_UNAVAILABLE when the connection ended or did not answer:
   *   whether the request took effect is unknown then
   */
  request(method: string, params: unknown): Promise<unknown>;
  /** Settles when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  close(): void;
}

/**
 * Dials a gateway and authenticates as OpenClaw's own command line does: with a token, without a device.
 * @throws HAError STORE_UNAVAILABLE when no gateway answered, or the refusal (UNAUTHORIZED, OVERLOADED, …)
 */
export function openGatewaySession(options: GatewaySessionOptions): Promise<GatewaySession> {
  const { url, token, version, onEvent, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
    const waiting = new Map<
      string,
      { resolve: (payload: unknown) => void; reject: (error: Error) => void }
    >();
    const closed = Promise.withResolvers<void>();
    let failure: HAError | null = null;
    let alive = true;

    const end = (error: HAError): void => {
      failure ??= error;
      socket.terminate();
    };
    const handshake = setTimeout(
      () => end(unavailable("the gateway did not finish the handshake")),
      HANDSHAKE_TIMEOUT_MS,
    );
    const pings = setInterval(() => {
      if (!alive) return end(unavailable("the gateway stopped answering"));
      alive = false;
      if (socket.readyState === WebSocket.OPEN) socket.ping();
    }, PING_INTERVAL_MS);
    const onAbort = (): void => end(unavailable("interrupted"));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();

    const request = (method: string, params: unknown): Promise<unknown> =>
      new Promise((answer, refuse) => {
        if (socket.readyState !== WebSocket.OPEN) return refuse(unavailable("the connection is closed"));
        const id = randomUUID();
        const deadline = setTimeout(() => {
          waiting.delete(id);
          refuse(unavailable(`the gateway did not answer ${method} within ${REQUEST_TIMEOUT_MS / 1_000} s`));
        }, REQUEST_TIMEOUT_MS);
        const settle =
          <T>(then: (value: T) => void) =>
          (value: T) => {
            clearTimeout(deadline);
            waiting.delete(id);
            then(value);
          };
        waiting.set(id, { resolve: settle(answer), reject: settle(refuse) });
        socket.send(JSON.stringify({ type: "req", id, method, params }));
      });

    const onChallenge = async (): Promise<void> => {
      await request("connect", {
        minProtocol: PROTOCOL,
        maxProtocol: PROTOCOL,
        client: { id: "cli", displayName: "openclaw-ha", version, platform: process.platform, mode: "cli" },
        role: "operator",
        scopes: ["operator.read", "operator.write"],
        // Without this a busy tenant's whole traffic would come along.
        caps: ["session-scoped-events"],
        auth: { token },
      });
      clearTimeout(handshake);
      resolve({ request, closed: closed.promise, close: () => socket.close(1000) });
    };

    socket.on("message", (data) => {
      alive = true;
      const frame = frameSchema.safeParse(parse((data as Buffer).toString()));
      if (!frame.success) return; // A frame type of a later protocol: nothing that we asked for.
      if (frame.data.type === "event") {
        if (frame.data.event === "connect.challenge") onChallenge().catch((error: HAError) => end(error));
        else onEvent(frame.data.event, frame.data.payload);
        return;
      }
      const asked = waiting.get(frame.data.id);
      if (frame.data.ok) asked?.resolve(frame.data.payload);
      else asked?.reject(refusal(frame.data.error));
    });
    socket.on("pong", () => void (alive = true));
    socket.on("error", (error) => {
      failure ??= unavailable(`cannot reach the gateway at ${url}`, error);
    });
    socket.on("close", (code, reason) => {
      clearTimeout(handshake);
      clearInterval(pings);
      signal.removeEventListener("abort", onAbort);
      const error =
        failure ??
        unavailable(
          `the gateway closed the connection (${code}${reason.length ? ` ${String(reason)}` : ""})`,
        );
      for (const one of waiting.values()) one.reject(error);
      reject(error);
      closed.resolve();
    });
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const unavailable = (message: string, cause?: unknown): HAError =>
  new HAError("STORE_UNAVAILABLE", message, {}, cause === undefined ? undefined : { cause });

/** A gateway's error as one of ours; what may be retried unchanged keeps saying so. */
export function refusal(error: GatewayError | undefined): HAError {
  const {
    code = "UNAVAILABLE",
    message = "the gateway refused the request",
    retryable,
    retryAfterMs,
    details,
  } = error ?? {};
  const kept = { ...details, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (details?.["reason"] === "chat-request-conflict") return new HAError("REQUEST_CONFLICT", message, kept);
  if (retryable || code === "UNAVAILABLE") return new HAError("OVERLOADED", message, kept);
  if (typeof details?.["authReason"] === "string" || String(details?.["code"]).startsWith("AUTH_")) {
    return new HAError("UNAUTHORIZED", message, kept);
  }
  if (code === "FORBIDDEN" || code === "NOT_PAIRED") return new HAError("FORBIDDEN", message, kept);
  return new HAError("REQUEST_INVALID", message, kept);
}
