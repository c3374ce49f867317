import { randomBytes } from "node:crypto";
import { connect } from "node:net";

/** Bytes of a message that are there when it is told of; a longer one is skipped from there on. */
const PREFIX_BYTES = 512;
const READ_BYTES = 256 * 1_024;
const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 } as const;

/**
 * A text message of `length` bytes: `known` of them lie at `start` of `bytes`, which is overwritten as soon as the
 * callback has returned.
 */
export type OnText = (bytes: Buffer, start: number, known: number, length: number) => void;

export interface RawSocketOptions {
  readonly port: number;
  /** Source address. */
  readonly localAddress?: string | undefined;
  readonly onText: OnText;
  readonly onClose?: () => void;
}

/** A WebSocket that reads at the least cost, so that thousands of them measure a server and not themselves. */
export interface RawSocket {
  send(text: string): void;
  close(): void;
}

/** One for all sockets of the process: what was read is looked through before the next read. */
const reading = Buffer.allocUnsafe(READ_BYTES);

/** @throws Error when nothing listens there, or the server does not upgrade */
export function openRawSocket({ port, localAddress, onText, onClose }: RawSocketOptions): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    let upgraded = false;
    let head = "";
    const scanner = new FrameScanner((opcode, bytes, start, known, length) => {
      if (opcode === OPCODE.text) onText(bytes, start, known, length);
      else if (opcode === OPCODE.ping)
        socket.write(clientFrame(OPCODE.pong, bytes.subarray(start, start + known)));
      else if (opcode === OPCODE.close) socket.destroy();
    });
    const read = (bytes: Buffer): void => {
      if (upgraded) return scanner.push(bytes);
      head += bytes.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!head.startsWith("HTTP/1.1 101 ")) {
        socket.destroy(new Error(`the server answered ${head.slice(0, head.indexOf("\r\n"))}`));
        return;
      }
      upgraded = true;
      resolve({
        send: (text) => void socket.write(clientFrame(OPCODE.text, Buffer.from(text))),
        close: () => socket.destroy(),
      });
      scanner.push(Buffer.from(head.slice(end + 4), "latin1"));
    };
    const socket = connect({
      host: "127.0.0.1",
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
      noDelay: true,
      onread: { buffer: reading, callback: (length) => (read(reading.subarray(0, length)), true) },
    });
    socket.on("error", reject);
    socket.on("close", () => {
      reject(new Error("the connection ended before it was upgraded"));
      onClose?.();
    });
    socket.write(
      `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
  });
}

/** A frame from a client must be masked (RFC 6455, 5.1); under a mask of zeros its bytes stay as they are. */
function clientFrame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const header = Buffer.alloc(long ? 8 : 6);
  header[0] = 0x80 | opcode;
  header[1] = 0x80 | (long ? 126 : payload.length);
  if (long) header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

type OnFrame = (opcode: number, bytes: Buffer, start: number, known: number, length: number) => void;

/** Finds the frames in a stream of bytes without taking them out of it. */
class FrameScanner {
  private readonly onFrame: OnFrame;
  /** Payload bytes of the last frame that are still to come. */
  private skip = 0;
  /** The beginning of a frame whose prefix is not complete. */
  private rest: Buffer | null = null;

  constructor(onFrame: OnFrame) {
    this.onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    let at = Math.min(this.skip, chunk.length);
    this.skip -= at;
    if (this.rest) {
      bytes = Buffer.concat([this.rest, chunk]);
      this.rest = null;
    }
    while (at + 2 <= bytes.length) {
      const short = bytes[at + 1]! & 0x7f;
      const header = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (at + header > bytes.length) break;
      const length =
        short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUInt32BE(at + 6) : short;
      const known = Math.min(length, PREFIX_BYTES);
      const start = at + header;
      if (start + known > bytes.length) break;
      this.onFrame(bytes[at]! & 0x0f, bytes, start, known, length);
      at = Math.min(start + length, bytes.length);
      this.skip = start + length - at;
    }
    if (at < bytes.length) this.rest = Buffer.from(bytes.subarray(at));
  }
}
