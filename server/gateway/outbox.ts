import type { Backlog } from "./backlog.ts";
import { type OpenEvent, UNNUMBERED } from "./protocol/frames.ts";
import type { GatewayLimits } from "./protocol/limits.ts";
import { probeFrame, type TextFrame, textFrame } from "./protocol/text-frame.ts";

/** The socket below a connection, as far as the gateway uses it. */
export interface Wire {
  /**
   * Hands whole frames over. True: the kernel has them. Otherwise the bytes belong to the socket until it does. In
   * either case `taken` is called later, once for each write.
   */
  write(frames: Buffer, taken: () => void): boolean;
  /** Bytes handed over that the kernel has not taken. */
  bufferedBytes(): number;
  /** Whether to read on what the peer sends. */
  read(on: boolean): void;
  /** Starts the closing handshake; a peer that does not end it in a few seconds is cut. */
  close(code: number, reason: string): void;
  /** Cuts the socket without a closing handshake. */
  terminate(): void;
}

/** What happened to an event: `dropped` leaves a hole in `seq` that the client can see. */
export type Delivery = "sent" | "dropped" | "closed";

/** Largest write of more than one frame: all that a socket holds for itself when it stops reading. */
const WRITE_MAX_BYTES = 256 * 1_024;
/** Bytes on their way to the client, in whichever kernel's or network's buffers, above which it does not keep up. */
const WINDOW_BYTES = 256 * 1_024;
const PROBE = probeFrame();

/**
 * The sending side of one connection: numbers its events from 1, sends what gathers in one pass of the event loop in
 * one write, and keeps a slow consumer from filling memory.
 *
 * While the kernel does not take what was written, frames wait here; those of events are shared by all connections.
 * Kernels take megabytes that nobody has read: pings among the frames, which clients answer when they come to them, tell
 * how far a client is.
 * Above `dropAboveBytes` of waiting output nothing more is read from the client, and droppable events are skipped with
 * their number consumed, so that it notices (protocol 4: a hole makes it call onGap). Above `closeAboveBytes`, or when
 * all connections together have too much waiting and this one has the most, it is closed with 1008 and what waits is
 * forgotten.
 */
export class Outbox {
  private readonly wire: Wire;
  private readonly limits: Pick<GatewayLimits, "dropAboveBytes" | "closeAboveBytes">;
  private readonly backlog: Backlog;
  private seq = 0;
  private open = true;
  private frames: TextFrame[] = [];
  /** Their numbers. */
  private seqs: number[] = [];
  private queuedBytes = 0;
  /** The backlog will flush it. */
  private expected = false;
  /** Writes of which the socket has not said that they were taken. */
  private writes = 0;
  /** The kernel did not take the last of them at once. */
  private blocked = false;
  /** What the socket then holds for itself, as the backlog has it. */
  private heldBytes = 0;
  private reading = true;
  /** All bytes ever written; those of them that have reached the client; those before the ping that is not answered. */
  private sentBytes = 0;
  private arrivedBytes = 0;
  private probedBytes: number | null = null;
  private again: (() => void) | null = null;

  constructor(
    wire: Wire,
    limits: Pick<GatewayLimits, "dropAboveBytes" | "closeAboveBytes">,
    backlog: Backlog,
  ) {
    this.wire = wire;
    this.limits = limits;
    this.backlog = backlog;
  }

  /** A response, or a frame that carries no seq. */
  frame(text: string): void {
    if (this.open && !this.tooFull()) this.queue(textFrame(text), UNNUMBERED);
  }

  event(event: OpenEvent, droppable: boolean): Delivery {
    if (!this.open || this.tooFull()) return "closed";
    this.seq++;
    if (droppable && this.waitingBytes > this.limits.dropAboveBytes) return "dropped";
    this.queue(event, this.seq);
    return "sent";
  }

  /**
   * False while too much of what was written has not arrived. Text is then better kept back until it can be told as a
   * whole: its pieces would only wait, and be old when they arrive.
   */
  get keepsUp(): boolean {
    return !this.blocked && this.sentBytes - this.arrivedBytes <= WINDOW_BYTES;
  }

  /** Calls back once when the client keeps up again; of several calls before that, the last one counts. */
  onceKeepsUp(again: () => void): void {
    this.again = again;
  }

  /** The client has come to the last ping of this outbox. */
  arrived(): void {
    this.arrivedBytes = this.probedBytes ?? this.arrivedBytes;
    this.probedBytes = null;
    if (this.open && this.shouldProbe) this.queue(PROBE, UNNUMBERED);
    this.tellAgain();
  }

  get isOpen(): boolean {
    return this.open;
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.queuedBytes + this.heldBytes;
  }

  /** Writes what waits, as long as the kernel takes it. */
  flush(): void {
    this.expected = false;
    while (!this.blocked && this.frames.length > 0) {
      const bytes = this.next();
      this.writes++;
      if (this.wire.write(bytes, this.taken)) continue;
      this.block(true);
      this.backlog.joiner.giveAway();
    }
    this.measure();
  }

  close(code: number, reason: string): void {
    if (!this.open) return;
    this.flush();
    this.open = false;
    this.wire.close(code, reason);
    this.forget();
  }

  /** Closes a slow consumer. One whose socket holds too much for it to hear of that soon is cut, so that it is free. */
  shed(): void {
    this.close(1008, "slow consumer");
    if (this.heldBytes <= WRITE_MAX_BYTES) return;
    this.wire.terminate();
    this.closed();
  }

  /** The socket has gone: whatever is still to be sent is forgotten. */
  closed(): void {
    this.open = false;
    this.block(false);
    this.forget();
  }

  private queue(frame: TextFrame, seq: number): void {
    this.frames.push(frame);
    this.seqs.push(seq);
    this.queuedBytes += frame.bytes.length;
    this.backlog.enter(frame);
    if (!this.expected) {
      this.expected = true;
      this.backlog.flushSoon(this);
    }
    if (this.queuedBytes > WRITE_MAX_BYTES) this.flush();
  }

  /** Takes the frames of the next write out of the queue. */
  private next(): Buffer {
    const count = this.fitting(Math.min(WRITE_MAX_BYTES, this.backlog.room));
    let { frames, seqs } = this;
    if (count === frames.length) {
      this.frames = [];
      this.seqs = [];
    } else {
      frames = frames.splice(0, count);
      seqs = seqs.splice(0, count);
    }
    let length = 0;
    for (const frame of frames) {
      this.backlog.leave(frame);
      length += frame.bytes.length;
    }
    this.queuedBytes -= length;
    this.sentBytes += length;
    if (this.probedBytes === null && this.shouldProbe) {
      this.probedBytes = this.sentBytes;
      if (frames.at(-1) !== PROBE) {
        frames.push(PROBE);
        seqs.push(UNNUMBERED);
      }
    }
    return this.backlog.joiner.join(frames, seqs);
  }

  /** How many frames fit into so many bytes, at least one. */
  private fitting(room: number): number {
    const { frames } = this;
    if (this.queuedBytes <= room) return frames.length;
    let bytes = 0;
    const over = frames.findIndex((frame) => (bytes += frame.bytes.length) > room);
    return Math.max(1, over);
  }

  private readonly taken = (): void => {
    if (--this.writes > 0 || !this.blocked) return;
    this.block(false);
    this.flush();
    this.tellAgain();
  };

  private get shouldProbe(): boolean {
    return this.sentBytes - this.arrivedBytes > WINDOW_BYTES / 2;
  }

  private tellAgain(): void {
    const { again } = this;
    if (again === null || !this.keepsUp) return;
    this.again = null;
    again();
  }

  private block(blocked: boolean): void {
    this.blocked = blocked;
    if (blocked) this.backlog.slow.add(this);
    else this.backlog.slow.delete(this);
  }

  private forget(): void {
    for (const frame of this.frames) this.backlog.leave(frame);
    this.frames = [];
    this.seqs = [];
    this.queuedBytes = 0;
    this.again = null;
    this.measure();
  }

  private measure(): void {
    const held = this.blocked ? this.wire.bufferedBytes() : 0;
    this.backlog.hold(held - this.heldBytes);
    this.heldBytes = held;
    const reading = this.waitingBytes <= this.limits.dropAboveBytes;
    if (reading === this.reading || !this.open) return;
    this.reading = reading;
    this.wire.read(reading);
  }

  private tooFull(): boolean {
    if (this.waitingBytes <= this.limits.closeAboveBytes) return false;
    this.flush();
    if (this.waitingBytes <= this.limits.closeAboveBytes) return false;
    this.shed();
    return true;
  }
}
