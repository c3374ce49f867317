import { Redis } from "ioredis";
import { Pool } from "pg";
import { cpuSecondsByKind } from "./process-table.ts";
import { cpuMsPerRun, type Figures, summary } from "./report.ts";

export interface FloorOptions {
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** Processes of the stores, whose CPU time counts. */
  readonly pids: readonly number[];
  readonly runs: number;
  /** Runs in flight. */
  readonly inFlight: number;
  /** Runs in one statement. */
  readonly batch: number;
}

const TABLES = `
  DROP TABLE IF EXISTS floor_runs, floor_leases;
  CREATE TABLE floor_runs (id text PRIMARY KEY, session text, status text, body jsonb, result jsonb, fence bigint, created timestamptz DEFAULT now());
  CREATE INDEX ON floor_runs (session) WHERE status = 'queued';
  CREATE TABLE floor_leases (session text PRIMARY KEY, fence bigint, expires timestamptz)`;
const ACCEPT =
  "INSERT INTO floor_runs (id, session, status, body) SELECT i, i, 'queued', $2::jsonb FROM unnest($1::text[]) i";
const CLAIM = `
  WITH l AS (
    INSERT INTO floor_leases SELECT s, 1, now() + interval '15 s' FROM unnest($1::text[]) s
    ON CONFLICT (session) DO UPDATE SET fence = floor_leases.fence + 1, expires = excluded.expires WHERE floor_leases.expires < now()
    RETURNING session, fence)
  UPDATE floor_runs r SET status = 'running', fence = l.fence FROM l WHERE r.session = l.session AND r.status = 'queued' RETURNING r.id, r.body`;
const FINISH = `
  WITH l AS (DELETE FROM floor_leases WHERE session = ANY ($1) RETURNING session, fence)
  UPDATE floor_runs r SET status = 'done', result = $2::jsonb FROM l WHERE r.id = l.session AND r.fence = l.fence`;

/**
 * What one durable run costs at the least, without any server around it: accept, claim and finish as three batched
 * commits, one stream entry, one publish. No transcript, no tenants, no idempotency, no takeover: nobody could use it.
 */
export async function floorPath({
  postgresUrl,
  redisUrl,
  pids,
  runs,
  inFlight,
  batch,
}: FloorOptions): Promise<Figures> {
  const pool = new Pool({ connectionString: postgresUrl, max: 16 });
  const redis = new Redis(redisUrl);
  const reader = new Redis(redisUrl);
  const subscriber = new Redis(redisUrl);
  await pool.query(TABLES);
  await redis.del("floor:queue");
  await redis.xgroup("CREATE", "floor:queue", "workers", "$", "MKSTREAM");
  const body = JSON.stringify({ text: "x".repeat(200) });
  const startedAt = new Map<string, number>();
  const ackMs: number[] = [];
  const endToEndMs: number[] = [];
  const processes = [process.pid, ...pids];
  const cpu = cpuSecondsByKind(processes);
  const began = performance.now();

  const ended = new Promise<void>((resolve) => {
    subscriber.on("message", (_channel, ids) => {
      for (const id of ids.split(",")) endToEndMs.push(performance.now() - (startedAt.get(id) ?? 0));
      if (endToEndMs.length >= runs) resolve();
    });
  });
  await subscriber.subscribe("floor:events");

  const execute = async (entries: readonly (readonly [string, string[]])[]): Promise<void> => {
    const ids = entries.map(([, fields]) => fields[1] ?? "");
    await pool.query({ name: "floor_claim", text: CLAIM, values: [ids] });
    await pool.query({ name: "floor_finish", text: FINISH, values: [ids, body] });
    const done = redis.pipeline().xack("floor:queue", "workers", ...entries.map(([entry]) => entry));
    for (const id of ids) done.publish("floor:events", id);
    await done.exec();
  };
  const work = async (): Promise<void> => {
    while (endToEndMs.length < runs) {
      const found = (await reader.xreadgroup(
        "GROUP",
        "workers",
        "w",
        "COUNT",
        batch,
        "BLOCK",
        200,
        "STREAMS",
        "floor:queue",
        ">",
      )) as [string, [string, string[]][]][] | null;
      if (found?.[0]) void execute(found[0][1]);
    }
  };
  const working = work();

  let next = 0;
  const client = async (): Promise<void> => {
    while (next < runs) {
      const ids = Array.from({ length: Math.min(batch, runs - next) }, (_, n) => `run-${next + n}`);
      next += ids.length;
      const sentAt = performance.now();
      for (const id of ids) startedAt.set(id, sentAt);
      await pool.query({ name: "floor_accept", text: ACCEPT, values: [ids, body] });
      const entries = redis.pipeline();
      for (const id of ids) entries.xadd("floor:queue", "*", "id", id);
      await entries.exec();
      for (const _ of ids) ackMs.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.floor(inFlight / batch)) }, client));
  await ended;
  const seconds = (performance.now() - began) / 1_000;
  const cpuMsPerRunOf = cpuMsPerRun(cpu, cpuSecondsByKind(processes), runs);
  await working;
  for (const connection of [redis, reader, subscriber]) connection.disconnect();
  await pool.end();
  return {
    runsPerSecond: Math.round(runs / seconds),
    ackMs: summary(ackMs),
    endToEndMs: summary(endToEndMs),
    cpuMsPerRunOf,
  };
}
