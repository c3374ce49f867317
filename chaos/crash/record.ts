import type { StoresSnapshot } from "../stores/snapshot.ts";

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

/** All that is known of a stretch of traffic: what clients saw, what Postgres holds, what the model was asked. */
export interface TrafficRecord extends StoredRecord {
  readonly sent: readonly SentMessage[];
  readonly heard: readonly HeardChat[];
}

/** The part of it that the stores and the model know. */
export type StoredRecord = Readonly<
  Pick<StoresSnapshot, "runs" | "rows" | "leases" | "steps" | "idempotency" | "calls">
>;

export const isEnd = ({ state }: Pick<HeardChat, "state">): boolean =>
  state !== "status" && state !== "delta";
