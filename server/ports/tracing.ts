/** What a span is about: ids and numbers, never a text of a user. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanStart {
  readonly name: string;
  /** `server` answers a request, `consumer` takes work from the queue, `client` calls another service. */
  readonly kind: "server" | "consumer" | "client" | "internal";
  /** W3C `traceparent` of the span above; one that is malformed counts as none, and a trace begins here. */
  readonly parent?: string | undefined;
  readonly attributes?: SpanAttributes;
  /** Epoch milliseconds; default now. */
  readonly startedAt?: number;
}

export interface Span {
  /** What is handed on to whoever works for this span; undefined where nothing is traced. */
  readonly traceparent: string | undefined;
  set(attributes: SpanAttributes): void;
  /** @param error why it failed. @param endedAt epoch milliseconds; default now */
  end(error?: string, endedAt?: number): void;
}

/** Traces from a client's request to the model call. Nothing here throws, waits, or is needed for anything else. */
export interface Tracing {
  start(span: SpanStart): Span;
  /** Sends what has not been sent. Never rejects. */
  close(): Promise<void>;
}

const NO_SPAN: Span = { traceparent: undefined, set: () => undefined, end: () => undefined };

/** Nothing is traced. */
export const noTracing: Tracing = { start: () => NO_SPAN, close: () => Promise.resolve() };
