/** A message as it goes over the wire of a server. Connections that are told the same share it. */
export interface TextFrame {
  /** Header and all. */
  readonly bytes: Buffer;
  /** Connections that it waits for; the backlog counts its bytes while there is one. */
  waitsFor: number;
}

/** First byte of an uncompressed text message in one frame (RFC 6455, 5.2). */
const FIN_AND_TEXT = 0x81;

/** A ping, and what it says: the answer to it is told from the answers to others by that. */
export const PROBE_TEXT = "p";
export const probeFrame = (): TextFrame => ({
  bytes: Buffer.from([0x89, PROBE_TEXT.length, ...Buffer.from(PROBE_TEXT)]),
  waitsFor: 0,
});

export function textFrame(text: string): TextFrame {
  const length = Buffer.byteLength(text);
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const bytes = Buffer.allocUnsafe(headerLength + length);
  bytes[0] = FIN_AND_TEXT;
  if (headerLength === 2) bytes[1] = length;
  else if (headerLength === 4) {
    bytes[1] = 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }
  bytes.write(text, headerLength);
  return { bytes, waitsFor: 0 };
}
