import { mkdir, open, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { bodyReader } from "../../server/bodies/body-store.ts";
import { HAError } from "../../server/core/errors.ts";
import type { SessionKey, TenantId } from "../../server/core/ids.ts";
import type { SessionRecord } from "../../server/core/session.ts";
import type { CliContext } from "../context.ts";
import type { DeploymentPorts } from "../ports.ts";

const PAGE = 200;
/** More rows than the tail of a session in the database ever has. */
const ALL_ROWS = 1_000_000;

/**
 * Writes what a tenant has said and was told: `sessions.json`, and `transcripts/SESSION_ID.jsonl` with a line a message,
 * since the session's last reset.
 * @returns how many sessions it wrote
 * @throws HAError REQUEST_INVALID for a folder that is not empty; STORE_UNAVAILABLE
 */
export async function exportTenant(
  context: Pick<CliContext, "cwd" | "output" | "signal">,
  ports: Pick<DeploymentPorts, "sessions" | "objects">,
  tenant: TenantId,
  dir: string,
): Promise<number> {
  const target = path.resolve(context.cwd, dir);
  const transcripts = path.join(target, "transcripts");
  await mkdir(target, { recursive: true });
  if ((await readdir(target)).length > 0) {
    throw new HAError("REQUEST_INVALID", `${target} is not empty`, { hint: "choose another folder" });
  }
  await mkdir(transcripts);
  const all: SessionRecord[] = [];
  let before: SessionKey | undefined;
  for (;;) {
    const page = await ports.sessions.list(tenant, { limit: PAGE, ...(before ? { before } : {}) });
    for (const session of page.sessions) {
      context.signal.throwIfAborted();
      await writeTranscript(ports, session, path.join(transcripts, `${session.sessionId}.jsonl`));
    }
    all.push(...page.sessions);
    before = page.sessions.at(-1)?.key;
    if (page.sessions.length < PAGE) break;
    context.output.progress(`${all.length} sessions are written`);
  }
  await writeFile(path.join(target, "sessions.json"), `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 });
  return all.length;
}

async function writeTranscript(
  { sessions, objects }: Pick<DeploymentPorts, "sessions" | "objects">,
  { tenant, key, resetSeq }: SessionRecord,
  file: string,
): Promise<void> {
  const bodies = bodyReader(objects);
  const { rows, segments } = await sessions.history(tenant, key, { limit: ALL_ROWS });
  const known = new Set(rows.map(({ seq }) => seq));
  const handle = await open(file, "w", 0o600);
  try {
    for (const segment of segments.toSorted((a, b) => a.firstSeq - b.firstSeq)) {
      for (const row of await bodies.loadSegment(tenant, segment.object)) {
        if (row.seq > resetSeq && !known.has(row.seq)) await write(row);
      }
    }
    for (const row of rows) await write(row);
    await handle.sync();
  } finally {
    await handle.close();
  }

  async function write(row: (typeof rows)[number]): Promise<void> {
    const { body, ...rest } = row;
    await handle.write(`${JSON.stringify({ ...rest, message: await bodies.load(tenant, body) })}\n`);
  }
}
