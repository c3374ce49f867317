import { randomUUID } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import {
  agentId,
  type RunId,
  runId,
  type SessionKey,
  sessionKey,
  type TenantId,
  tenantId,
  type WorkerId,
  workerId,
} from "../../core/ids.ts";
import type { RunRecord } from "../../core/run.ts";
import type { NewMessage, StoredBody, TranscriptMessage, TranscriptRow } from "../../core/transcript.ts";
import type {
  AcceptAnswer,
  AcceptRequest,
  CheckpointAnswer,
  CheckpointRequest,
  ClaimAnswer,
  FinishAnswer,
  FinishRequest,
  Grant,
  GrantRef,
  SweepReport,
} from "../run-ledger.ts";
import type { ReadySession } from "../run-queue.ts";
import type { OpenStores, StoreFixture } from "./store-fixture.ts";

type Stored<Answer, Kind extends string> = Extract<Answer, { readonly kind: Kind }>;

/** A name that no other test has. */
export const unique = (name: string): string => `${name}-${randomUUID().slice(0, 13)}`;

export const newKey = (name = "chat"): SessionKey => sessionKey(`agent:main:${unique(name)}`);

export const textBody = (role: TranscriptMessage["role"], text: string): StoredBody => ({
  inline: { role, content: text, timestamp: 1_790_000_000_000 },
});

export const message = (text: string, role: TranscriptMessage["role"] = "assistant"): NewMessage => ({
  messageId: randomUUID(),
  body: textBody(role, text),
});

/** The text of a row whose body lies in the row. */
export function rowText(row: Pick<TranscriptRow, "body"> | undefined): unknown {
  return row && "inline" in row.body ? row.body.inline.content : undefined;
}

/** A row without the time of its writing: what has to be the same when it is answered again. */
export const timeless = (row: TranscriptRow): TranscriptRow => ({ ...row, createdAt: 0 });

/** Names of a grant alone, as workers send them. */
export const refOf = ({ tenant, sessionKey: key, runId: run, token }: GrantRef): GrantRef => ({
  tenant,
  sessionKey: key,
  runId: run,
  token,
});

/** Opens the stores for the test that runs, with one tenant in a pool of its own, and short words for what tests do. */
export async function storeWorld(open: OpenStores) {
  const fixture = await open();
  onTestFinished(() => fixture.close());
  const pool = unique("pool");
  const tenant = tenantId(unique("tenant"));
  await fixture.directory.addTenant(tenant, pool);
  return { ...fixture, pool, tenant, ...words(fixture, tenant, pool) };
}

export type StoreWorld = Awaited<ReturnType<typeof storeWorld>>;

function words({ ledger, sessions, passTime }: StoreFixture, tenant: TenantId, pool: string) {
  const request = (key: SessionKey, over: Partial<AcceptRequest> = {}): AcceptRequest => ({
    tenant,
    runId: runId(randomUUID()),
    sessionKey: key,
    agentId: agentId("main"),
    lane: "main",
    requestHash: "a".repeat(64),
    input: { body: textBody("user", "hello"), options: {} },
    newSessionId: randomUUID(),
    ...over,
  });

  const acceptAs = async (one: AcceptRequest): Promise<AcceptAnswer> => only(await ledger.accept([one]));

  /** Accepts a new run and answers it with what `accept` said about readiness. */
  const accept = async (
    key: SessionKey,
    over: Partial<AcceptRequest> = {},
  ): Promise<RunRecord & { readonly ready: ReadySession | null }> => {
    const answer = await acceptAs(request(key, over));
    expect(answer.kind).toBe("new");
    const { run, ready } = answer as Stored<AcceptAnswer, "new">;
    return { ...run, ready };
  };

  /** Registers a worker that only its heartbeats keep alive. */
  const worker = async (name = "worker", pools: readonly string[] = [pool]): Promise<WorkerId> => {
    const id = workerId(unique(name));
    await ledger.registerWorker({ worker: id, instance: name, pools, slots: 8 }, "absent");
    return id;
  };

  const claimAs = async (by: WorkerId, key: SessionKey): Promise<ClaimAnswer> =>
    only(await ledger.claim(by, [{ tenant, sessionKey: key }]));

  const claim = async (by: WorkerId, key: SessionKey): Promise<Grant> => {
    const answer = await claimAs(by, key);
    expect(answer.kind).toBe("granted");
    return (answer as Stored<ClaimAnswer, "granted">).grant;
  };

  const checkpointAs = async (
    grant: GrantRef,
    checkpointNo: number,
    over: Partial<CheckpointRequest> = {},
  ): Promise<CheckpointAnswer> =>
    only(await ledger.checkpoint([{ grant: refOf(grant), checkpointNo, steps: [], messages: [], ...over }]));

  const checkpoint = async (
    grant: GrantRef,
    checkpointNo: number,
    over: Partial<CheckpointRequest> = {},
  ): Promise<Stored<CheckpointAnswer, "stored">> => {
    const answer = await checkpointAs(grant, checkpointNo, over);
    expect(answer.kind).toBe("stored");
    return answer as Stored<CheckpointAnswer, "stored">;
  };

  const finishRequest = (grant: GrantRef, over: Partial<FinishRequest> = {}): FinishRequest => ({
    grant: refOf(grant),
    status: "succeeded",
    result: { text: "answer", stopReason: "stop" },
    error: null,
    steps: [],
    messages: [],
    takeNext: true,
    ...over,
  });

  const finishAs = async (grant: GrantRef, over: Partial<FinishRequest> = {}): Promise<FinishAnswer> =>
    only(await ledger.finish([finishRequest(grant, over)]));

  const finish = async (
    grant: GrantRef,
    over: Partial<FinishRequest> = {},
  ): Promise<Stored<FinishAnswer, "finished">> => {
    const answer = await finishAs(grant, over);
    expect(answer.kind).toBe("finished");
    return answer as Stored<FinishAnswer, "finished">;
  };

  /** Ends every open run of a session, one after the other. */
  const finishAll = async (by: WorkerId, key: SessionKey): Promise<void> => {
    for (let grant: Grant | null = await claim(by, key); grant;) grant = (await finish(grant)).next;
  };

  /** So much time passes that whoever is not among `survivors` has lost its leases. */
  const silence = async (...survivors: readonly WorkerId[]): Promise<void> => {
    for (let passed = 0; passed < 2; passed++) {
      await passTime(6_000);
      for (const survivor of survivors) {
        expect(await ledger.heartbeat(survivor, "absent")).toMatchObject({ kind: "alive" });
      }
    }
  };

  /** What a sweep reports of this tenant and pool. */
  const sweep = async (): Promise<SweepReport> => {
    const { deadWorkers, readied, buried } = await ledger.sweep();
    return {
      deadWorkers: deadWorkers.filter((dead) => dead.pools.includes(pool)),
      readied: readied.filter((ready) => ready.tenant === tenant),
      buried: buried.filter(({ run }) => run.tenant === tenant),
    };
  };

  /** Keys of the tenant's ready sessions, the one that has waited longest first. */
  const readyKeys = async (olderThanMs = 0, pageSize = 500): Promise<SessionKey[]> => {
    const keys: SessionKey[] = [];
    let page = await ledger.readySessions(olderThanMs, pageSize);
    for (;;) {
      for (const ready of page.sessions) if (ready.tenant === tenant) keys.push(ready.sessionKey);
      if (!page.next) return keys;
      page = await ledger.readySessions(olderThanMs, pageSize, page.next);
    }
  };

  const run = async (id: RunId): Promise<RunRecord> => {
    const record = await ledger.get(tenant, id);
    expect(record).not.toBeNull();
    return record as RunRecord;
  };

  /** All rows of a session since its last reset. */
  const transcript = async (key: SessionKey): Promise<TranscriptRow[]> =>
    (await sessions.history(tenant, key, { limit: 10_000 })).rows;

  const ready = (key: SessionKey): ReadySession => ({ tenant, sessionKey: key, lane: "main", pool });

  return {
    request,
    accept,
    acceptAs,
    worker,
    claim,
    claimAs,
    checkpoint,
    checkpointAs,
    finish,
    finishAs,
    finishRequest,
    finishAll,
    silence,
    sweep,
    readyKeys,
    run,
    transcript,
    ready,
  };
}

function only<T>(answers: readonly T[]): T {
  expect(answers).toHaveLength(1);
  return answers[0] as T;
}
