/** A frame that the gateway sent, as read from the wire. */
export interface Frame {
  readonly type: "res" | "event";
  readonly id?: string;
  readonly ok?: boolean;
  readonly event?: string;
  readonly seq?: number;
  readonly payload?: Record<string, unknown>;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly details?: Record<string, unknown>;
    readonly retryable?: boolean;
    readonly retryAfterMs?: number;
  };
}

interface Waiter {
  readonly matches: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
}

/** How long a frame is waited for, far above what any test waits for when nothing is broken. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** Everything that one connection received, in order, and ways to wait for more of it. */
export class FrameLog {
  readonly frames: Frame[] = [];
  private readonly waiters = new Set<Waiter>();

  push(frame: Frame): void {
    this.frames.push(frame);
    for (const waiter of this.waiters) if (waiter.matches(frame)) waiter.resolve(frame);
  }

  /** Nothing more will come: whoever waits learns why. */
  protected fail(error: Error): void {
    for (const waiter of this.waiters) waiter.reject(error);
  }

  /**
   * The first frame that matches, past or future.
   * @throws Error when it does not come within `timeoutMs`, or the connection ends first
   */
  wait(
    matches: (frame: Frame) => boolean,
    what: string,
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ): Promise<Frame> {
    const there = this.frames.find(matches);
    if (there) return Promise.resolve(there);
    return new Promise<Frame>((resolve, reject) => {
      const timer = setTimeout(
        () => waiter.reject(new Error(`${what} did not come within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settled = (): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
      };
      const waiter: Waiter = {
        matches,
        resolve: (frame) => (settled(), resolve(frame)),
        reject: (error) => (settled(), reject(error)),
      };
      this.waiters.add(waiter);
    });
  }

  responses(id: string): Frame[] {
    return this.frames.filter((frame) => frame.type === "res" && frame.id === id);
  }

  /** The n-th response to a request, from 1. */
  response(id: string, nth = 1, timeoutMs?: number): Promise<Frame> {
    const answered = this.responses(id);
    const there = answered[nth - 1];
    if (there) return Promise.resolve(there);
    let missing = nth - answered.length;
    return this.wait(
      (frame) => frame.type === "res" && frame.id === id && !answered.includes(frame) && --missing === 0,
      `response ${nth} to ${id}`,
      timeoutMs,
    );
  }

  events(name: string): Frame[] {
    return this.frames.filter((frame) => frame.type === "event" && frame.event === name);
  }

  /** Payloads of the `chat` events of a run, of one state or all. */
  chats(runId: string, state?: string): Record<string, unknown>[] {
    return this.events("chat")
      .map((frame) => frame.payload ?? {})
      .filter((payload) => payload["runId"] === runId && (state === undefined || payload["state"] === state));
  }

  /** The terminal `chat` event of a run, once it has come. */
  async end(runId: string, timeoutMs?: number): Promise<Record<string, unknown>> {
    const frame = await this.wait(
      ({ event, payload }) =>
        event === "chat" && payload?.["runId"] === runId && TERMINAL.has(String(payload["state"])),
      `the end of ${runId}`,
      timeoutMs,
    );
    return frame.payload ?? {};
  }

  /** The text that a client holds which follows the `chat` deltas of a run as the protocol says. */
  text(runId: string): string {
    let text = "";
    for (const { deltaText, replace } of this.chats(runId, "delta")) {
      text = replace === true ? String(deltaText) : text + String(deltaText);
    }
    return text;
  }
}

/** States of a chat event after which a run has no more. */
const TERMINAL: ReadonlySet<string> = new Set(["final", "aborted", "error"]);
