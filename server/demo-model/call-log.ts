/** One model call as the demo model saw it. */
export interface DemoCall {
  readonly id: number;
  /** What the caller said about whose call it is, or the beginning of the user's text. */
  readonly session: string;
  /** Beginning of the newest user message. */
  readonly text: string;
  /** Messages in the request. */
  readonly messages: number;
  /** Places in the one order of all starts and ends that this process saw: no clock decides what overlapped. */
  readonly startOrder: number;
  readonly endOrder: number | null;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** HTTP status that was answered; null while there is none. */
  readonly status: number | null;
  /** The client went away before it had the whole answer. */
  readonly aborted: boolean;
}

export interface DemoCallReport {
  /** Calls since the start or the last reset, also those that are no longer kept. */
  readonly total: number;
  readonly inFlight: number;
  /** Calls that began while another one of the same session was in flight. */
  readonly overlaps: number;
  /** Calls whose client went away early. */
  readonly aborted: number;
  /** The newest ones, oldest first. */
  readonly calls: readonly DemoCall[];
}

/** What a call in flight reports about itself. */
export interface OpenCall {
  end(status: number | null, aborted: boolean): void;
}

export interface CallLog {
  begin(session: string, text: string, messages: number): OpenCall;
  report(): DemoCallReport;
  reset(): void;
}

const KEPT_CALLS = 10_000;
const KEPT_CHARACTERS = 200;

/** Keeps the newest calls in a ring, so that a long load test does not fill memory. */
export function callLog(now: () => number): CallLog {
  type Entry = { -readonly [Key in keyof DemoCall]: DemoCall[Key] };
  let ring: Entry[] = [];
  let inFlightOf = new Map<string, number>();
  let total = 0;
  let inFlight = 0;
  let overlaps = 0;
  let aborted = 0;
  let order = 0;
  /** Calls of before a reset must not count into what came after it. */
  let era = 0;

  return {
    begin(session, text, messages) {
      const open = inFlightOf.get(session) ?? 0;
      inFlightOf.set(session, open + 1);
      if (open > 0) overlaps++;
      inFlight++;
      const entry: Entry = {
        id: ++total,
        session: session.slice(0, KEPT_CHARACTERS),
        text: text.slice(0, KEPT_CHARACTERS),
        messages,
        startOrder: ++order,
        endOrder: null,
        startedAt: now(),
        endedAt: null,
        status: null,
        aborted: false,
      };
      ring[(total - 1) % KEPT_CALLS] = entry;
      const born = era;
      return {
        end(status, early) {
          if (entry.endedAt !== null || born !== era) return;
          entry.endedAt = now();
          entry.endOrder = ++order;
          entry.status = status;
          entry.aborted = early;
          if (early) aborted++;
          inFlight--;
          const left = (inFlightOf.get(session) ?? 1) - 1;
          if (left === 0) inFlightOf.delete(session);
          else inFlightOf.set(session, left);
        },
      };
    },
    report: () => ({
      total,
      inFlight,
      overlaps,
      aborted,
      calls: ring.toSorted((a, b) => a.id - b.id),
    }),
    reset() {
      ring = [];
      inFlightOf = new Map();
      total = inFlight = overlaps = aborted = order = 0;
      era++;
    },
  };
}
