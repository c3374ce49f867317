import { type OpenEvent, sealEvent } from "./protocol/frames.ts";
import type { GatewayLimits } from "./protocol/limits.ts";

/** The socket below a connection, as far as the gateway uses it. */
export interface Wire {
  send(text: string): void;
  /** Bytes handed over and not yet taken by the kernel. */
  bufferedBytes(): number;
  /** Starts the closing handshake; a peer that does not end it in a few seconds is cut. */
  close(code: number, reason: string): void;
  /** Cuts the socket without a closing handshake. */
  terminate(): void;
}

/** What happened to an event: `dropped` leaves a hole in `seq` that the client can see. */
export type Delivery = "sent" | "dropped" | "closed";

/**
 * The sending side of one connection: numbers its events from 1 and keeps a slow consumer from filling memory.
 *
 * Above `dropAboveBytes` of waiting output, droppable events are skipped and their number is consumed, so that the
 * client notices (protocol 4: a hole makes it call onGap); above `closeAboveBytes` the connection is closed with 1008.
 */
export class Outbox {
  private readonly wire: Wire;
  private readonly limits: Pick<GatewayLimits, "dropAboveBytes" | "closeAboveBytes">;
  private seq = 0;
  private open = true;

  constructor(wire: Wire, limits: Pick<GatewayLimits, "dropAboveBytes" | "closeAboveBytes">) {
    this.wire = wire;
    this.limits = limits;
  }

  /** A response, or a frame that carries no seq. */
  frame(text: string): void {
    if (this.open && !this.tooFull()) this.wire.send(text);
  }

  /** An event encoded up to its seq. */
  event(event: OpenEvent, droppable: boolean): Delivery {
    if (!this.open || this.tooFull()) return "closed";
    this.seq++;
    if (droppable && this.wire.bufferedBytes() > this.limits.dropAboveBytes) return "dropped";
    this.wire.send(sealEvent(event, this.seq));
    return "sent";
  }

  close(code: number, reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.wire.close(code, reason);
  }

  /** The socket has gone: whatever is still to be sent is forgotten. */
  closed(): void {
    this.open = false;
  }

  get isOpen(): boolean {
    return this.open;
  }

  private tooFull(): boolean {
    if (this.wire.bufferedBytes() <= this.limits.closeAboveBytes) return false;
    this.close(1008, "slow consumer");
    return true;
  }
}
