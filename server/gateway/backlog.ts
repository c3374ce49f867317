import { FrameJoiner } from "./frame-joiner.ts";
import type { Outbox } from "./outbox.ts";
import type { GatewayLimits } from "./protocol/limits.ts";
import type { TextFrame } from "./protocol/text-frame.ts";

/** What it costs that one frame waits for one more connection. */
const ENTRY_BYTES = 32;

/**
 * What all connections of one gateway have not taken yet. It flushes their outboxes at the end of each pass of the
 * event loop, and bounds what waits in the process: a write hands no more over than an even share of the room that is
 * left, and above `waitingBytes` those who have the most waiting are closed as slow consumers, until a quarter is free.
 * A frame that waits for many connections is there, and counted, once.
 */
export class Backlog {
  readonly joiner = new FrameJoiner();
  /** Connections whose socket has not taken all that was written. */
  readonly slow = new Set<Outbox>();
  private readonly limits: Pick<GatewayLimits, "waitingBytes">;
  private readonly connections: () => number;
  private waitingBytes = 0;
  private soon: Outbox[] = [];

  constructor(limits: Pick<GatewayLimits, "waitingBytes">, connections: () => number) {
    this.limits = limits;
    this.connections = connections;
  }

  /** The outbox is flushed when what has come in together has been dealt with. */
  flushSoon(outbox: Outbox): void {
    if (this.soon.push(outbox) === 1) setImmediate(() => this.flush());
  }

  flush(): void {
    const { soon } = this;
    this.soon = [];
    for (const outbox of soon) outbox.flush();
    if (this.waitingBytes > this.limits.waitingBytes) this.shed();
  }

  /** Bytes that wait in the process. */
  get bytes(): number {
    return this.waitingBytes;
  }

  /** Bytes that one more socket may be left with. */
  get room(): number {
    return (this.limits.waitingBytes - this.waitingBytes) / Math.max(1, this.connections());
  }

  /** The frame waits for one more connection. */
  enter(frame: TextFrame): void {
    this.waitingBytes += ENTRY_BYTES;
    if (frame.waitsFor++ === 0) this.waitingBytes += frame.bytes.length;
  }

  /** The frame waits for one connection less. */
  leave(frame: TextFrame): void {
    this.waitingBytes -= ENTRY_BYTES;
    if (--frame.waitsFor === 0) this.waitingBytes -= frame.bytes.length;
  }

  /** A socket holds so many bytes more for itself, or less. */
  hold(bytes: number): void {
    this.waitingBytes += bytes;
  }

  private shed(): void {
    const enough = this.limits.waitingBytes * 0.75;
    const slowest = [...this.slow].sort((a, b) => b.waitingBytes - a.waitingBytes);
    for (const outbox of slowest) {
      if (this.waitingBytes <= enough) return;
      outbox.shed();
    }
  }
}
