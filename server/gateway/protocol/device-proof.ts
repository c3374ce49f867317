import { createPublicKey, hash, verify } from "node:crypto";

/** `connect.params.device`: proof that the sender holds an Ed25519 key. */
export interface DeviceProof {
  /** SHA-256 hex of the raw public key. */
  readonly id: string;
  /** Raw 32 bytes, base64url. */
  readonly publicKey: string;
  /** Over the signed text, base64url. */
  readonly signature: string;
  /** The challenge's `ts`. */
  readonly signedAt: number;
  readonly nonce: string;
}

/** What the signature covers beside the device's own fields. */
export interface DeviceProofContext {
  readonly clientId: string;
  readonly clientMode: string;
  readonly role: string;
  readonly scopes: readonly string[];
  /** The credential sent along, or empty. */
  readonly token: string;
  readonly platform: string | undefined;
  readonly deviceFamily: string | undefined;
  /** The challenge this connection was given. */
  readonly nonce: string;
  readonly challengeTs: number;
}

export type DeviceProofFault =
  | "device-public-key"
  | "device-id-mismatch"
  | "device-signature-stale"
  | "device-nonce-missing"
  | "device-nonce-mismatch"
  | "device-signature";

/** Message and `details.code` of each fault, as OpenClaw's clients know them (connect-error-details). */
export const DEVICE_FAULTS: Readonly<Record<DeviceProofFault, { message: string; code: string }>> = {
  "device-public-key": { message: "device public key invalid", code: "DEVICE_AUTH_PUBLIC_KEY_INVALID" },
  "device-id-mismatch": { message: "device identity mismatch", code: "DEVICE_AUTH_DEVICE_ID_MISMATCH" },
  "device-signature-stale": { message: "device signature expired", code: "DEVICE_AUTH_SIGNATURE_EXPIRED" },
  "device-nonce-missing": { message: "device nonce required", code: "DEVICE_AUTH_NONCE_REQUIRED" },
  "device-nonce-mismatch": { message: "device nonce mismatch", code: "DEVICE_AUTH_NONCE_MISMATCH" },
  "device-signature": { message: "device signature invalid", code: "DEVICE_AUTH_SIGNATURE_INVALID" },
};

/** How far `signedAt` may be from the challenge: clients before 2026.9 sign with their own clock. */
const SIGNED_AT_SKEW_MS = 10 * 60_000;
/** DER of an Ed25519 SubjectPublicKeyInfo up to the raw key (RFC 8410). */
const ED25519_SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

const lowered = (value: string | undefined): string => value?.trim().toLowerCase() ?? "";

/** The text that is signed, newest version first. */
export function signedTexts(device: DeviceProof, context: DeviceProofContext): readonly string[] {
  const common = [
    device.id,
    context.clientId,
    context.clientMode,
    context.role,
    context.scopes.join(","),
    String(device.signedAt),
    context.token,
    device.nonce,
  ];
  return [
    ["v3", ...common, lowered(context.platform), lowered(context.deviceFamily)].join("|"),
    ["v2", ...common].join("|"),
  ];
}

/** Null when the proof holds; otherwise what is wrong with it. Never throws, whatever the fields hold. */
export function checkDeviceProof(device: DeviceProof, context: DeviceProofContext): DeviceProofFault | null {
  const rawKey = Buffer.from(device.publicKey, "base64url");
  if (rawKey.length !== 32) return "device-public-key";
  if (hash("sha256", rawKey, "hex") !== device.id) return "device-id-mismatch";
  if (Math.abs(device.signedAt - context.challengeTs) > SIGNED_AT_SKEW_MS) return "device-signature-stale";
  if (device.nonce === "") return "device-nonce-missing";
  if (device.nonce !== context.nonce) return "device-nonce-mismatch";
  const signature = Buffer.from(device.signature, "base64url");
  if (signature.length !== 64) return "device-signature";
  try {
    const key = createPublicKey({
      key: Buffer.concat([ED25519_SPKI_PREFIX, rawKey]),
      format: "der",
      type: "spki",
    });
    const holds = signedTexts(device, context).some((text) =>
      verify(null, Buffer.from(text), key, signature),
    );
    return holds ? null : "device-signature";
  } catch {
    return "device-public-key"; // 32 bytes that are no point of the curve
  }
}
