/** A place in a script where a run waits for its test. */
export interface Gate {
  /** Resolves when a run has come to the gate. */
  readonly reached: Promise<void>;
  /** Lets everyone through, now and later. */
  open(): void;
  /** Waits until the gate opens or the signal aborts. */
  pass(signal: AbortSignal): Promise<void>;
}

export function gate(): Gate {
  const { promise: reached, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  return {
    reached,
    open,
    pass(signal) {
      arrive();
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const go = (): void => {
          signal.removeEventListener("abort", go);
          resolve();
        };
        signal.addEventListener("abort", go);
        void opened.then(go);
      });
    },
  };
}
