import { asHAError, HAError, isHAError } from "./errors.ts";

export interface BatcherOptions<Request, Answer> {
  /** For error messages: `accept`, `claim`, … */
  readonly name: string;
  /**
   * Decides a whole batch in one round trip and answers in its order. It must be safe to repeat: a batch that fails
   * on account of one request is cut in halves and sent again.
   */
  readonly call: (batch: readonly Request[]) => Promise<readonly Answer[]>;
  /** Most requests in one call. */
  readonly maxBatch: number;
  /** Most requests waiting for a call; the next one is refused, so that an unreachable store cannot fill memory. */
  readonly maxWaiting: number;
  /** Calls under way at once; default 1, which gives the largest batches. */
  readonly maxCalls?: number;
  /**
   * True for an error that one request of the batch may have caused, so that the others deserve another try.
   * Default: everything but STORE_UNAVAILABLE, which concerns all of them alike.
   */
  readonly mayConcernOne?: (error: unknown) => boolean;
}

export interface Batcher<Request, Answer> {
  /**
   * Sends the request with all others that wait at the same moment, and resolves with its own answer.
   * @throws HAError OVERLOADED when too many wait already; otherwise whatever the call threw
   */
  readonly submit: (request: Request) => Promise<Answer>;
  /** Requests that wait for a call or for its answer. */
  readonly pending: () => number;
}

interface Waiter<Request, Answer> {
  readonly request: Request;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * Makes one call of many requests: those that arrive while a call is under way share the next one (group commit).
 * Nobody waits for a timer: a lone request leaves at the end of the event loop's turn in which it came, and the
 * batch grows only as far as the store is slower than its callers.
 */
export function batcher<Request, Answer>(options: BatcherOptions<Request, Answer>): Batcher<Request, Answer> {
  const { name, call, maxBatch, maxWaiting, maxCalls = 1 } = options;
  const mayConcernOne = options.mayConcernOne ?? ((error) => !isHAError(error, "STORE_UNAVAILABLE"));
  let waiting: Waiter<Request, Answer>[] = [];
  let underWay = 0;
  let calls = 0;
  let scheduled = false;

  const schedule = (): void => {
    if (scheduled || waiting.length === 0 || calls >= maxCalls) return;
    scheduled = true;
    // Not a microtask: requests read from several sockets in this turn, and those that the answers of the last call
    // set off, come along.
    setImmediate(() => {
      scheduled = false;
      start();
      schedule(); // where more calls may be under way at once
    });
  };

  const start = (): void => {
    const batch = waiting.slice(0, maxBatch);
    waiting = waiting.slice(maxBatch);
    calls++;
    underWay += batch.length;
    void send(batch).finally(() => {
      calls--;
      underWay -= batch.length;
      schedule();
    });
  };

  /** Settles every waiter of the batch; never rejects. */
  const send = async (batch: readonly Waiter<Request, Answer>[]): Promise<void> => {
    try {
      const answers = await call(batch.map((waiter) => waiter.request));
      if (answers.length !== batch.length) {
        throw new HAError(
          "INTERNAL",
          `${name}: ${answers.length} answers to a batch of ${batch.length} requests`,
        );
      }
      for (const [i, waiter] of batch.entries()) waiter.resolve(answers[i] as Answer);
    } catch (error) {
      if (batch.length === 1 || !mayConcernOne(error)) {
        const failure = asHAError(error);
        for (const waiter of batch) waiter.reject(failure);
        return;
      }
      // Halves find one bad request among n in 2 log n calls, where one at a time would take n.
      const middle = Math.ceil(batch.length / 2);
      await send(batch.slice(0, middle));
      await send(batch.slice(middle));
    }
  };

  return {
    submit: (request) =>
      new Promise<Answer>((resolve, reject) => {
        if (waiting.length >= maxWaiting) {
          reject(new HAError("OVERLOADED", `${name}: ${maxWaiting} requests wait already`, { name }));
          return;
        }
        waiting.push({ request, resolve, reject });
        schedule();
      }),
    pending: () => waiting.length + underWay,
  };
}
