import { write, writeSync } from "node:fs";

/** Where log lines go. Never throws and never waits. */
export interface LineSink {
  /** One line with its line feed. */
  write(line: string): void;
}

export interface LineSinkOptions {
  /** What may wait for a slow reader; lines above it are dropped and counted. */
  readonly maxBytes: number;
  /** Makes the line that tells how many were dropped, once writing works again. */
  readonly droppedLine: (lines: number) => string;
}

/** After a failed write, a full disk most often. */
const PAUSE_MS = 1_000;
/** After EAGAIN: the pipe is full and its reader slow. */
const RETRY_MS = 20;
/** At exit there is no later: so many tries for a full pipe, without a pause. */
const EXIT_TRIES = 100;

/**
 * Writes lines to a file descriptor in the background, many at once. A reader that is slow, or gone, and a disk that is
 * full cost lines, never the process: pino's own destination was tried and ends in an endless loop on ENOSPC.
 */
export function lineSink(fd: number, options: LineSinkOptions): LineSink {
  let waiting: string[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let busy = false;
  let closed = false;
  /** Of a batch under way, what waits for a full pipe: nothing else may be written before it. */
  let stuck: Buffer = Buffer.alloc(0);

  function takeAll(): Buffer {
    const lines = dropped > 0 ? [...waiting, options.droppedLine(dropped)] : waiting;
    waiting = [];
    waitingBytes = 0;
    return Buffer.from(lines.join(""));
  }

  function pump(): void {
    if (busy || closed || waiting.length === 0) return;
    busy = true;
    const counted = dropped;
    const lines = waiting.length;
    send(takeAll(), (failed) => {
      busy = false;
      dropped = failed ? dropped + lines : dropped - counted;
      if (!failed) pump();
      else if (!closed) setTimeout(pump, PAUSE_MS).unref();
    });
  }

  function send(bytes: Buffer, done: (failed: boolean) => void): void {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      const rest = bytes.subarray(written);
      if (error === null) return rest.length === 0 ? done(false) : send(rest, done);
      if (error.code === "EAGAIN") return retryLater(bytes, done);
      if (error.code === "EPIPE" || error.code === "EBADF") closed = true; // nobody will ever read it
      return done(true);
    });
  }

  function retryLater(bytes: Buffer, done: (failed: boolean) => void): void {
    stuck = bytes;
    setTimeout(() => {
      stuck = Buffer.alloc(0);
      send(bytes, done);
    }, RETRY_MS).unref();
  }

  process.once("exit", () => {
    if (!closed) sendAtExit(fd, Buffer.concat([stuck, takeAll()]));
  });

  return {
    write(line) {
      if (closed) return;
      if (waitingBytes + line.length > options.maxBytes) {
        dropped++;
        return;
      }
      waiting.push(line);
      waitingBytes += line.length;
      pump();
    },
  };
}

function sendAtExit(fd: number, bytes: Buffer): void {
  let rest = bytes;
  for (let tried = 0; tried < EXIT_TRIES && rest.length > 0; tried++) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}
