import type { SessionKey, TenantId } from "../core/ids.ts";
import type { ContextEntry, ContextHistory } from "../core/compaction.ts";
import type { TranscriptMessage } from "../core/transcript.ts";

/** Everything a model needs to know of a session, as it stood at one transcript position. */
export interface SessionContext {
  readonly sessionId: string;
  /** Position of the last row in `history`. */
  readonly headSeq: number;
  /** The reset after which `history` begins: a later reset makes the entry worthless. */
  readonly resetSeq: number;
  readonly history: ContextHistory;
}

/**
 * Contexts of the sessions this worker served last, so that a hot session's next run reads nothing. Entries are
 * versioned by the transcript's positions, which the ledger tells with every grant; a stale one is never used, so
 * the cache needs no invalidation. Bounded by the size of what it holds; the longest unused goes first.
 */
export interface ContextCache {
  get(tenant: TenantId, key: SessionKey): SessionContext | undefined;
  put(tenant: TenantId, key: SessionKey, context: SessionContext): void;
  forget(tenant: TenantId, key: SessionKey): void;
  /** Sum of the estimated sizes of all entries, in bytes. */
  bytes(): number;
}

export function contextCache(maxBytes: number): ContextCache {
  // A Map iterates in order of insertion: re-inserting at each use makes the first entry the longest unused.
  const entries = new Map<string, Held>();
  let total = 0;
  const drop = (name: string): void => {
    const entry = entries.get(name);
    if (entry === undefined) return;
    entries.delete(name);
    total -= entry.bytes;
  };

  return {
    get(tenant, key) {
      const name = nameOf(tenant, key);
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      entries.delete(name);
      entries.set(name, entry);
      return entry.context;
    },
    put(tenant, key, context) {
      const name = nameOf(tenant, key);
      const bytes = sizeAfter(entries.get(name), context.history);
      drop(name);
      if (bytes > maxBytes / 4) return; // one giant session must not push out everybody else
      entries.set(name, { context, bytes });
      total += bytes;
      for (const oldest of entries.keys()) {
        if (total <= maxBytes) break;
        drop(oldest);
      }
    },
    forget: (tenant, key) => drop(nameOf(tenant, key)),
    bytes: () => total,
  };
}

interface Held {
  readonly context: SessionContext;
  readonly bytes: number;
}

/** The size of a context. Where it is a longer version of the one held, only what was added is measured. */
function sizeAfter(held: Held | undefined, { compaction, entries }: ContextHistory): number {
  const before = held?.context.history;
  const grows =
    held !== undefined &&
    before !== undefined &&
    before.compaction?.seq === compaction?.seq &&
    before.entries[0] === entries[0] &&
    before.entries.at(-1) === entries[before.entries.length - 1];
  if (grows) return held.bytes + sum(entries.slice(before.entries.length));
  return 200 + (compaction?.summary.length ?? 0) * 2 + sum(entries);
}

const sum = (entries: readonly ContextEntry[]): number =>
  entries.reduce((bytes, { message }) => bytes + estimate(message), 0);

/** Tenant ids hold no NUL, so two pairs never share a name. */
const nameOf = (tenant: TenantId, key: SessionKey): string => `${tenant}\0${key}`;

/** About the bytes of a message in memory; exactness does not matter, proportion does. */
function estimate(message: TranscriptMessage): number {
  let size = 200;
  if (typeof message.content === "string") return size + message.content.length * 2;
  for (const block of message.content) {
    switch (block.type) {
      case "text":
        size += block.text.length * 2;
        break;
      case "thinking":
        size += block.thinking.length * 2;
        break;
      case "image":
        size += block.data.length;
        break;
      case "toolCall":
        size += JSON.stringify(block.arguments).length * 2;
        break;
      default:
        block satisfies never;
    }
  }
  return size;
}
