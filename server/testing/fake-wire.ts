import type { Wire } from "../gateway/outbox.ts";
import { textsOf } from "./text-frames.ts";

interface Received {
  readonly type?: string;
  readonly seq?: number;
  readonly payload?: { readonly n: unknown };
}

/** What happens at the other end of the wire. */
export interface FakePeer {
  text?(text: string): void;
  ping?(): void;
  closed?(code: number, reason: string): void;
}

/** A socket whose kernel takes everything at once, or nothing at all while its peer does not read. */
export class FakeWire implements Wire {
  /** Copies of what was written and has been taken, or is waited with. */
  readonly writes: Buffer[] = [];
  readonly received: Received[] = [];
  readonly closed: (readonly [code: number, reason: string])[] = [];
  terminated = false;
  isRead = true;
  private readonly peer: FakePeer;
  private stalled = false;
  /** As they were handed over: what happens to the bytes meanwhile is seen. */
  private waiting: { readonly frames: Buffer; readonly taken: () => void }[] = [];

  constructor(peer: FakePeer = {}) {
    this.peer = peer;
  }

  write(frames: Buffer, taken: () => void): boolean {
    this.writes.push(Buffer.from(frames));
    if (this.stalled) {
      this.waiting.push({ frames, taken });
      return false;
    }
    this.receive(frames);
    process.nextTick(taken);
    return true;
  }

  bufferedBytes(): number {
    return this.waiting.reduce((sum, { frames }) => sum + frames.length, 0);
  }

  read(on: boolean): void {
    this.isRead = on;
  }

  close(code: number, reason: string): void {
    this.closed.push([code, reason]);
    this.peer.closed?.(code, reason);
  }

  terminate(): void {
    this.terminated = true;
    this.waiting = [];
    this.peer.closed?.(1006, "");
  }

  stall(): void {
    this.stalled = true;
  }

  resume(): void {
    this.stalled = false;
    for (const { frames, taken } of this.waiting.splice(0)) {
      this.receive(frames);
      taken();
    }
  }

  /** Number and payload of each event, in the order in which they came. */
  numbers(): (readonly [seq: number | undefined, n: unknown])[] {
    return this.received.map(({ seq, payload }) => [seq, payload?.n] as const);
  }

  private receive(frames: Buffer): void {
    for (const text of textsOf(frames, () => this.peer.ping?.())) {
      this.received.push(JSON.parse(text) as Received);
      this.peer.text?.(text);
    }
  }
}
