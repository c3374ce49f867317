/** One message that a client sent, over all its tries. `order` values place moments of all clients in one order. */
export interface SentMessage {
  readonly client: string;
  /** Idempotency key, which names the run. */
  readonly key: string;
  readonly sessionKey: string;
  /** What the answer must repeat. */
  readonly words: string;
  /** When it was first put on a socket; null when it never was. */
  sentOrder: number | null;
  readonly acks: Ack[];
  /** Refusals that no retry can mend. */
  readonly refusals: string[];
}

/** A gateway's promise that the run will end. */
export interface Ack {
  readonly order: number;
  readonly connection: number;
  /** `started` when this request made the run, otherwise how the run stood. */
  readonly status: string;
}

/** One `chat` event as a client heard it. */
export interface HeardChat {
  readonly client: string;
  /** Counts the connections of all clients. */
  readonly connection: number;
  readonly order: number;
  readonly runId: string;
  readonly state: "status" | "delta" | "final" | "aborted" | "error";
  readonly runSeq: number;
  readonly deltaText: string | null;
  readonly replace: boolean;
  /** The whole text as the event itself tells it. */
  readonly text: string | null;
}

/** A run as Postgres holds it. */
export interface StoredRun {
  readonly runId: string;
  readonly sessionKey: string;
  /** Order of acknowledgement within the session. */
  readonly runOrder: number;
  readonly status: string;
  readonly attempt: number;
  readonly failures: number;
  readonly text: string | null;
}

/** A row of a transcript, in order. */
export interface StoredRow {
  readonly sessionKey: string;
  readonly seq: number;
  readonly messageId: string;
  readonly parentId: string | null;
  readonly runId: string;
  readonly role: string;
}

/** One call of the model, as the model saw it. */
export interface ModelCall {
  /** Beginning of the user's text, which holds the key of the message. */
  readonly text: string;
  readonly startOrder: number;
  readonly endOrder: number | null;
  readonly status: number | null;
  readonly aborted: boolean;
}

/** All that is known of a stretch of traffic: what clients saw, what Postgres holds, what the model was asked. */
export interface TrafficRecord {
  readonly sent: readonly SentMessage[];
  readonly heard: readonly HeardChat[];
  readonly runs: readonly StoredRun[];
  readonly rows: readonly StoredRow[];
  readonly calls: readonly ModelCall[];
}

export const isEnd = ({ state }: Pick<HeardChat, "state">): boolean =>
  state !== "status" && state !== "delta";

/** How a message names itself to the model: its key in its first words. */
export const markOf = (key: string): string => `<${key}>`;
