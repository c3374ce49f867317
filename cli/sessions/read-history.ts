import { bodyReader } from "../../server/bodies/body-store.ts";
import type { SessionRecord } from "../../server/core/session.ts";
import { messageText, type TranscriptRow } from "../../server/core/transcript.ts";
import type { DeploymentPorts } from "../ports.ts";
import { isoTime } from "../runs/run-rows.ts";

export interface ShownMessage {
  readonly seq: number;
  readonly role: string;
  readonly at: string;
  readonly runId: string | null;
  readonly text: string;
}

/**
 * The newest messages of a session since its last reset, oldest first, wherever they lie: in the database, in sealed segments, or one by
 * one in object storage.
 * @throws HAError STORE_UNAVAILABLE; NOT_FOUND for an object that is gone
 */
export async function readHistory(
  { sessions, objects }: Pick<DeploymentPorts, "sessions" | "objects">,
  { tenant, key, resetSeq }: SessionRecord,
  limit: number,
): Promise<ShownMessage[]> {
  if (limit === 0) return [];
  const bodies = bodyReader(objects);
  const { rows, segments } = await sessions.history(tenant, key, { limit });
  const all: TranscriptRow[] = [...rows];
  // Segments hold what is older than the rows; the newest of them is enough as often as not.
  for (const segment of segments.toSorted((a, b) => b.lastSeq - a.lastSeq)) {
    if (all.length >= limit) break;
    const known = new Set(all.map(({ seq }) => seq));
    all.push(
      ...(await bodies.loadSegment(tenant, segment.object)).filter(
        ({ seq }) => seq > resetSeq && !known.has(seq),
      ),
    );
  }
  const newest = all.toSorted((a, b) => a.seq - b.seq).slice(-limit);
  return Promise.all(
    newest.map(async (row) => {
      const message = await bodies.load(tenant, row.body);
      return {
        seq: row.seq,
        role: message.role,
        at: isoTime(row.createdAt),
        runId: row.runId,
        text: shownText(message),
      };
    }),
  );
}

/** Text, and in brackets what else there is. */
function shownText(message: Parameters<typeof messageText>[0]): string {
  const text = messageText(message);
  if (typeof message.content === "string") return text;
  const others = message.content.flatMap((block) => {
    if (block.type === "toolCall") return [`[calls ${block.name} ${JSON.stringify(block.arguments)}]`];
    return block.type === "image" ? [`[${block.mimeType}]`] : [];
  });
  return [text, ...others].filter((part) => part !== "").join("\n");
}
