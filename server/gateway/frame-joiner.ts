import { UNNUMBERED, writeSeq } from "./protocol/frames.ts";
import type { TextFrame } from "./protocol/text-frame.ts";

/**
 * Puts the frames of one write together. Connections that are told the same, one after the other, share the bytes:
 * for the next one only the numbers are written anew.
 */
export class FrameJoiner {
  private frames: readonly TextFrame[] = [];
  private bytes: Buffer = Buffer.alloc(0);

  /** The frames with their numbers, in one piece that is good until the next call. */
  join(frames: readonly TextFrame[], seqs: readonly number[]): Buffer {
    // The frame of a response is nobody else's: large ones are not copied.
    if (frames.length === 1 && seqs[0] === UNNUMBERED) return frames[0]!.bytes;
    if (!this.holds(frames)) this.bytes = Buffer.concat(frames.map(({ bytes }) => bytes));
    this.frames = frames;
    let end = 0;
    for (let i = 0; i < frames.length; i++) {
      end += frames[i]!.bytes.length;
      const seq = seqs[i]!;
      if (seq !== UNNUMBERED) writeSeq(this.bytes, end, seq);
    }
    return this.bytes;
  }

  /** Who got the bytes of the last call keeps them. */
  giveAway(): void {
    this.frames = [];
  }

  private holds(frames: readonly TextFrame[]): boolean {
    return frames.length === this.frames.length && frames.every((frame, i) => frame === this.frames[i]);
  }
}
