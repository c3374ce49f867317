import { z } from "zod";
import type { ErrorShape } from "./errors.ts";
import { PROTOCOL_VERSION } from "./frames.ts";
import { checkDeviceProof, DEVICE_FAULTS } from "./device-proof.ts";
import { originAllowed } from "./origin.ts";
import { count, text } from "./params.ts";

/** `client.id` of protocol 4 (closed set; gateway-protocol, client-info). */
export const CLIENT_IDS = [
  "webchat-ui",
  "openclaw-control-ui",
  "openclaw-browser-copilot",
  "openclaw-tui",
  "webchat",
  "cli",
  "gateway-client",
  "openclaw-macos",
  "openclaw-linux",
  "openclaw-ios",
  "openclaw-watchos",
  "openclaw-android",
  "node-host",
  "openclaw-worker",
  "test",
  "fingerprint",
  "openclaw-probe",
] as const;
export const CLIENT_MODES = ["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"] as const;

/** Params of `connect`; unknown fields are ignored. */
export const connectParams = z.object({
  minProtocol: z.int().min(1),
  maxProtocol: z.int().min(1),
  client: z.object({
    id: z.enum(CLIENT_IDS),
    displayName: z.string().optional(),
    version: text,
    platform: text,
    deviceFamily: z.string().optional(),
    mode: z.enum(CLIENT_MODES),
    instanceId: z.string().optional(),
  }),
  caps: z.array(z.string()).max(256).optional(),
  role: z.string().optional(),
  scopes: z.array(z.string()).max(64).optional(),
  auth: z
    .object({
      token: z.string().optional(),
      password: z.string().optional(),
      deviceToken: z.string().optional(),
      bootstrapToken: z.string().optional(),
    })
    .optional(),
  device: z
    .object({ id: text, publicKey: text, signature: text, signedAt: count, nonce: z.string() })
    .optional(),
});
export type ConnectParams = z.infer<typeof connectParams>;

/** A connect that ends in an error: the response and how the socket is closed after it. */
export interface ConnectRefusal {
  readonly error: ErrorShape;
  readonly closeCode: number;
}

/** What is known of the socket before its client has said anything. */
export interface ConnectContext {
  readonly nonce: string;
  readonly challengeTs: number;
  /** Headers of the upgrade. */
  readonly origin: string | undefined;
  readonly host: string | undefined;
  /** Origins that browsers may come from beside the gateway's own (`gateway.controlUi.allowedOrigins`). */
  readonly allowedOrigins: readonly string[];
}

/** A connect that may go on to the token. */
export interface ConnectPlan {
  /** Credentials in the order in which they are tried. */
  readonly credentials: readonly string[];
  /** As asked for; emptied for device-less clients that OpenClaw does not trust with scopes. */
  readonly scopes: readonly string[];
  readonly role: "operator";
}

const refuse = (
  code: ErrorShape["code"],
  message: string,
  details?: Record<string, unknown>,
  closeCode = 1008,
): ConnectRefusal => ({ error: { code, message, ...(details ? { details } : {}) }, closeCode });

/** Clients that people sit before; OpenClaw wants a device key from them, so that one can be revoked alone. */
const PERSONAL = new Set<string>([
  "openclaw-tui",
  "openclaw-control-ui",
  "webchat-ui",
  "webchat",
  "openclaw-browser-copilot",
]);
/** Those of them that run in a browser, where any page could open a socket: their Origin must be known. */
const BROWSER = new Set<string>(["openclaw-control-ui", "webchat-ui"]);

/**
 * Decides everything about a connect but the token: version, role, origin, device proof and the identity matrix as
 * observed on OpenClaw 2026.9.6. One difference, on purpose: cli/cli and gateway-client/backend are accepted without
 * a device key from anywhere and not from loopback alone, because behind a load balancer nothing is loopback; their
 * token is bound to one tenant.
 */
export function planConnect(params: ConnectParams, context: ConnectContext): ConnectPlan | ConnectRefusal {
  const { client, auth, device } = params;
  if (params.minProtocol > PROTOCOL_VERSION || params.maxProtocol < PROTOCOL_VERSION) {
    const details = {
      code: "PROTOCOL_MISMATCH",
      clientMinProtocol: params.minProtocol,
      clientMaxProtocol: params.maxProtocol,
      expectedProtocol: PROTOCOL_VERSION,
      minimumProbeProtocol: 3,
    };
    return refuse("INVALID_REQUEST", "protocol mismatch", details, 1002);
  }
  const role = params.role ?? "operator";
  if (role !== "operator") return refuse("INVALID_REQUEST", "invalid role");

  if (BROWSER.has(client.id) && !originAllowed(context.origin, context.host, context.allowedOrigins)) {
    return refuse(
      "INVALID_REQUEST",
      "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)",
      { code: "CONTROL_UI_ORIGIN_NOT_ALLOWED" },
    );
  }
  const credentials = [auth?.token, auth?.password, auth?.deviceToken]
    .map((value) => value?.trim() ?? "")
    .filter((value, index, all) => value !== "" && all.indexOf(value) === index);
  if (!device && PERSONAL.has(client.id)) {
    return refuse("INVALID_REQUEST", `${client.id} requires device identity`, {
      code: "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
    });
  }
  if (!device && credentials.length === 0) {
    return refuse("NOT_PAIRED", "device identity required", { code: "DEVICE_IDENTITY_REQUIRED" });
  }
  const scopes = params.scopes ?? [];
  if (device) {
    const fault = checkDeviceProof(device, {
      clientId: client.id,
      clientMode: client.mode,
      role,
      scopes,
      token: auth?.token ?? auth?.deviceToken ?? auth?.bootstrapToken ?? "",
      platform: client.platform,
      deviceFamily: client.deviceFamily,
      nonce: context.nonce,
      challengeTs: context.challengeTs,
    });
    if (fault) {
      const { message, code } = DEVICE_FAULTS[fault];
      return refuse("INVALID_REQUEST", message, { code, reason: fault });
    }
  }
  if (credentials.length === 0) {
    return refuse("INVALID_REQUEST", "unauthorized: gateway token missing (send it in auth.token)", {
      code: "AUTH_TOKEN_MISSING",
      authReason: "token_missing",
      canRetryWithDeviceToken: false,
      recommendedNextStep: "update_auth_configuration",
    });
  }
  const trusted =
    device !== undefined ||
    (client.id === "cli" && client.mode === "cli") ||
    (client.id === "gateway-client" && client.mode === "backend");
  return { credentials, scopes: trusted ? scopes : [], role: "operator" };
}

/** The refusal of a token that is unknown, revoked, expired or of a disabled tenant. */
export const tokenMismatch = (): ConnectRefusal =>
  refuse(
    "INVALID_REQUEST",
    "unauthorized: gateway token mismatch (set gateway.remote.token to a token of this deployment)",
    {
      code: "AUTH_TOKEN_MISMATCH",
      authReason: "token_mismatch",
      canRetryWithDeviceToken: false,
      recommendedNextStep: "update_auth_credentials",
    },
  );
