import { expect } from "vitest";
import type { RunId, SessionKey, WorkerId } from "../../core/ids.ts";
import { collectedMessage, type QueueMode } from "../../core/queue-mode.ts";
import { type FencingToken, MAX_FAILURES, MAX_LOSSES, type RunStatus } from "../../core/run.ts";
import type { AcceptRequest, CheckpointRequest, Grant, SteeredRun } from "../run-ledger.ts";
import { newKey, rowText, type StoreWorld } from "./store-world.ts";

export interface ModelRun {
  readonly id: RunId;
  readonly session: ModelSession;
  readonly request: AcceptRequest;
  readonly mode: QueueMode;
  /** What its user row says: also what was collected into it. */
  text: string;
  status: RunStatus;
  attempt: number;
  failures: number;
  losses: number;
  /** The user row is said again after a redrive. */
  said: boolean;
  /** Token of the grant that ended it. */
  endedUnder: FencingToken | null;
  /** It has been granted, since it was redriven. */
  begun: boolean;
  abortRequested: boolean;
  mergedInto: RunId | null;
}

export interface ModelWorker {
  readonly id: WorkerId;
  /** Sends no heartbeats any more and has lost its leases, whether anybody knows or not. */
  silent: boolean;
}

/** A grant as it was handed out. */
export interface Holding {
  readonly grant: Grant;
  readonly worker: ModelWorker;
  readonly run: ModelRun;
  checkpointNo: number;
  /** The newest checkpoint and what joined with it, to be sent again. */
  last: { readonly request: Partial<CheckpointRequest>; readonly steered: readonly SteeredRun[] } | null;
}

export interface ModelSession {
  readonly key: SessionKey;
  readonly queue: ModelRun[];
  held: Holding | null;
  newestToken: FencingToken;
  /** What the transcript says, row by row. */
  readonly texts: string[];
}

/** The ledger as its port describes it, in a page; ledger-actions.ts moves it. Whatever differs, differs from the port. */
export interface LedgerModel {
  readonly world: StoreWorld;
  readonly sessions: readonly ModelSession[];
  readonly workers: ModelWorker[];
  readonly runs: ModelRun[];
  /** Every grant that was ever handed out. */
  readonly holdings: Holding[];
}

/** Nothing has happened yet: so many idle sessions, so many workers. */
export async function ledgerModel(
  world: StoreWorld,
  size: { readonly sessions: number; readonly workers: number },
): Promise<LedgerModel> {
  const sessions = Array.from({ length: size.sessions }, (_, i): ModelSession => {
    return { key: newKey(`s${i}`), queue: [], held: null, newestToken: 0, texts: [] };
  });
  const model: LedgerModel = { world, sessions, workers: [], runs: [], holdings: [] };
  for (let i = 0; i < size.workers; i++) await addWorker(model);
  return model;
}

export async function addWorker({ world, workers }: LedgerModel): Promise<void> {
  workers.push({ id: await world.worker(), silent: false });
}

export const aliveWorkers = ({ workers }: LedgerModel): ModelWorker[] =>
  workers.filter(({ silent }) => !silent);

export const isReady = (session: ModelSession): boolean => session.held === null && session.queue.length > 0;

/** True while the session is held under this grant. */
export const isCurrent = ({ grant, run }: Holding): boolean => run.session.held?.grant.token === grant.token;

/** Hands out a grant: it has to be of the head of the queue, under a token larger than all before. */
export function granted(
  model: LedgerModel,
  session: ModelSession,
  worker: ModelWorker,
  grant: Grant,
): Holding {
  const run = session.queue.shift()!;
  const collected = run.attempt === 0 && run.mode === "collect" ? collect(run) : [];
  run.status = "running";
  run.begun = true;
  run.attempt++;
  const { id: runId, attempt, failures, abortRequested } = run;
  expect(grant).toMatchObject({ runId, attempt, failures, abortRequested, collected });
  expect(grant.token).toBeGreaterThan(session.newestToken);
  session.newestToken = grant.token;
  expect(rowText(grant.userRow)).toBe(run.text);
  if (!run.said) session.texts.push(run.text);
  run.said = true;
  expect(grant.headSeq).toBe(session.texts.length);
  session.held = { grant, worker, run, checkpointNo: 0, last: null };
  model.holdings.push(session.held);
  return session.held;
}

/** Takes from the head of the queue what stands there in one mode and has not begun: nothing is overtaken. */
export function takeAhead({ queue }: ModelSession, mode: QueueMode): ModelRun[] {
  const end = queue.findIndex((run) => run.mode !== mode || run.attempt > 0);
  return queue.splice(0, end === -1 ? queue.length : end);
}

/** The message of a run has gone into another one's turn. */
export function merge(run: ModelRun, into: ModelRun): void {
  run.status = "succeeded";
  run.mergedInto = into.id;
}

function collect(first: ModelRun): RunId[] {
  const behind = takeAhead(first.session, "collect");
  const items = [first, ...behind].map(({ request }) => ({ body: request.input.body }));
  first.text = collectedMessage(items).content as string;
  for (const run of behind) merge(run, first);
  return behind.map(({ id }) => id);
}

/** True where the loss of its holder will be the end of the run. */
export const diesOfNextLoss = ({ failures, losses }: ModelRun): boolean =>
  failures + 1 >= MAX_FAILURES || losses + 1 >= MAX_LOSSES;

/** Takes the session from a lost holder; true where that was the end of its run. */
export function lose(session: ModelSession): boolean {
  const run = session.held!.run;
  session.held = null;
  const dies = diesOfNextLoss(run);
  run.failures++;
  run.losses++;
  if (dies) {
    run.status = "dead";
    return true;
  }
  run.status = "queued";
  session.queue.unshift(run);
  return false;
}

/** The run goes back to the head of its session, unharmed. */
export function giveBack(session: ModelSession): void {
  const { run } = session.held!;
  session.held = null;
  run.status = "queued";
  session.queue.unshift(run);
}

/** The store has to be as the model: statuses, readiness, transcripts. */
export async function compare({ world, sessions, runs }: LedgerModel): Promise<void> {
  const { ledger, tenant } = world;
  const readyKeys = sessions.filter(isReady).map(({ key }) => key);
  expect((await world.readyKeys()).sort()).toEqual(readyKeys.sort());
  const found = await ledger.getMany(runs.map(({ id }) => ({ tenant, runId: id })));
  const byId = new Map(found.map((run) => [run.runId, run]));
  for (const { id, status, attempt, failures, abortRequested, mergedInto } of runs) {
    expect(byId.get(id)).toMatchObject({ status, attempt, failures, abortRequested });
    expect(byId.get(id)?.result?.mergedInto ?? null).toBe(mergedInto);
  }
  for (const { key, texts: said } of sessions) {
    const rows = await world.transcript(key);
    expect(rows.map(rowText)).toEqual(said);
    expect(rows.map(({ seq }) => seq)).toEqual(said.map((_, i) => i + 1));
  }
}
