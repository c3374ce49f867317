import type { RunRecord } from "../core/run.ts";
import { isEnded } from "../core/run-state.ts";
import type { RunEvent } from "../core/run-event.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Listener } from "./audience.ts";
import type { FollowedRun } from "./followed-run.ts";
import { agentEnd, chatDelta, chatEnd } from "./projection/run-frames.ts";
import { openEvent } from "./protocol/frames.ts";
import { endOfRecord, type RunEnd, RunView } from "./run-view.ts";
import type { TenantHub } from "./tenant-hub.ts";

export interface FollowDeps {
  readonly hub: TenantHub;
  readonly bus: EventBus;
  readonly clock: Clock;
}

/**
 * Gives one connection what it missed of a run after `afterRunSeq`, as one delta, and lets it hear the rest live; a
 * run that is over ends with its terminal event. What the connection has heard live already is not told again, so
 * that asking is safe at any time. While the past is fetched the connection is told nothing of the run, so that
 * nothing comes twice or out of order.
 *
 * Where the history no longer reaches back, or a later attempt has replaced the text, the delta carries the whole
 * text with `replace: true`.
 */
export async function followRun(
  deps: FollowDeps,
  listener: Listener,
  record: RunRecord,
  afterRunSeq: number,
): Promise<void> {
  const { hub, clock } = deps;
  const { status, sessionKey, runId } = record;
  const underWay = hub.runs.get(runId);
  if (isEnded(status) && !underWay) {
    if (hub.toldEnd(listener, sessionKey, runId)) return;
    return followEnded(deps, listener, record, endOfRecord({ ...record, status }), afterRunSeq);
  }
  const run = underWay ?? hub.track(record, listener, false);
  if (run === null) return;
  run.requester = listener;
  if (isLevel(hub, run, listener)) return hub.observe(record, clock.monotonic(), true);
  await catchUp(deps, run, listener, record, afterRunSeq);
}

/** Whether the listener has heard all that was told of the run on this gateway. */
function isLevel(hub: TenantHub, run: FollowedRun, listener: Listener): boolean {
  const hears = hub.audience.hearsSince(listener, run.view.sessionKey) < Number.POSITIVE_INFINITY;
  return hears && run.toldSince < Number.POSITIVE_INFINITY && !run.needsWhole(listener);
}

async function catchUp(
  { hub, bus, clock }: FollowDeps,
  run: FollowedRun,
  listener: Listener,
  record: RunRecord,
  afterRunSeq: number,
): Promise<void> {
  const { view } = run;
  (run.held ??= new Set()).add(listener);
  try {
    if (isEnded(record.status)) hub.observe(record, clock.monotonic(), true);
    // What the gateway knows of the run must be no older than what the client has.
    else if (run.filling || view.lastRunSeq < afterRunSeq || view.blind) await hub.fill(run);
    const missed = await replay(bus, record, afterRunSeq);
    // From here on nothing is awaited: what is told now and what comes live meet without a seam.
    if (run.end === null) hub.teller.text(run, clock.now(), true);
    tellMissed(hub, view, listener, missed, afterRunSeq, clock.now());
    run.gotWhole(listener);
    if (run.end) tellEnd(hub, view, listener, run.end, afterRunSeq);
  } finally {
    run.held.delete(listener);
  }
}

async function followEnded(
  { hub, bus, clock }: FollowDeps,
  listener: Listener,
  record: RunRecord,
  end: RunEnd,
  afterRunSeq: number,
): Promise<void> {
  hub.rememberEnd(record.runId, end.runSeq);
  const view = viewOf(record, end);
  const missed = await replay(bus, record, afterRunSeq);
  tellMissed(hub, view, listener, missed, afterRunSeq, clock.now());
  tellEnd(hub, view, listener, end, afterRunSeq);
}

/** Null where the history is gone or the bus is away: the whole text serves instead. */
const replay = (bus: EventBus, run: RunRecord, afterRunSeq: number): Promise<RunEvent[] | null> =>
  bus.replay(run.tenant, run.sessionKey, run.runId, afterRunSeq).catch(() => null);

/** A view of a run that is over, for its frames only. */
function viewOf(record: RunRecord, end: RunEnd): RunView {
  const view = new RunView(record);
  view.sessionId = record.sessionId;
  view.text = end.text;
  view.lastRunSeq = end.runSeq;
  return view;
}

/** One delta for all that the client lacks of the text that the view holds. */
function tellMissed(
  hub: TenantHub,
  view: RunView,
  listener: Listener,
  missed: readonly RunEvent[] | null,
  afterRunSeq: number,
  ts: number,
): void {
  if (view.blind || view.lastRunSeq <= afterRunSeq) return;
  const added = missed === null ? null : addedText(missed, view.lastRunSeq);
  // Text that cannot be the tail of what the view holds was replaced on the way.
  const continues = added !== null && view.text.endsWith(added);
  const delta = continues ? added : view.text;
  if (delta === "" && continues) return;
  hub.teller.send(listener, openEvent("chat", chatDelta(view, ts, delta, !continues)), false);
}

/**
 * The text that the events add, or null where one of them set it anew, or where they do not reach as far as what is
 * known otherwise: the history may lack its last events for good (their publisher died), or be older than what came
 * live while it was read.
 */
function addedText(events: readonly RunEvent[], upTo: number): string | null {
  const last = events.at(-1);
  if (last === undefined || (last.runSeq < upTo && !ENDS.has(last.body.type))) return null;
  let added = "";
  for (const { body, runSeq } of events) {
    if (runSeq > upTo) break;
    if (body.type === "replace" || (body.type === "started" && runSeq > 1)) return null;
    if (body.type === "delta") added += body.text;
  }
  return added;
}

/** Nothing follows them in their attempt, whatever number the row gives the end. */
const ENDS: ReadonlySet<RunEvent["body"]["type"]> = new Set(["final", "aborted", "error"]);

function tellEnd(hub: TenantHub, view: RunView, listener: Listener, end: RunEnd, afterRunSeq: number): void {
  // The last delta may carry the end's own number: a client that has it may still lack the end.
  if (end.runSeq < afterRunSeq) return;
  if (end.mergedInto === undefined) hub.teller.send(listener, openEvent("agent", agentEnd(view, end)), false);
  hub.teller.send(listener, openEvent("chat", chatEnd(view, end)), false);
}
