import type { AgentId, RunId, SessionKey, TenantId } from "../core/ids.ts";
import type { RunRecord } from "../core/run.ts";
import { isEnded } from "../core/run-state.ts";
import { attemptOfRunSeq, type Notice, placeOfRunSeq, type RunEvent } from "../core/run-event.ts";
import type { TranscriptRow } from "../core/transcript.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus, TenantHandlers } from "../ports/event-bus.ts";
import { Audience, type Listener } from "./audience.ts";
import type { BodyReader } from "./bodies.ts";
import { FollowedRun } from "./followed-run.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { RecentRuns } from "./recent-runs.ts";
import { openEvent } from "./protocol/frames.ts";
import { endOfEvent, endOfRecord, type RunEnd, RunView } from "./run-view.ts";
import { RunTeller } from "./run-teller.ts";
import type { SessionsFeed } from "./sessions-feed.ts";
import type { TextPace, TextTeller } from "./text-pace.ts";

/** Events of one run kept while those before them are fetched; beyond it they are fetched again. */
const PENDING_MAX = 4_096;
/** Runs whose missed events are fetched at once after the bus was cut. */
const CATCH_UP_AT_ONCE = 32;
/** How long a run that the ledger does not know is followed. */
const UNKNOWN_RUN_MS = 60_000;

export interface TenantHubDeps {
  readonly bus: EventBus;
  readonly bodies: BodyReader;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly pace: TextPace;
  readonly feed: (audience: Audience) => SessionsFeed;
}

/** Somebody who waits for one run without being a listener of its session: a second response, an HTTP request. */
export interface RunWatcher {
  /** The text as it now stands has changed; it is read from the view whenever there is room for it. */
  text?(view: RunView): void;
  /** A message of the answer was committed, its text is the one that stands: another text is another message's. */
  messageDone?(view: RunView): void;
  /** The run has ended; nothing follows. */
  end(end: RunEnd): void;
}

/**
 * All that one gateway follows for one tenant: its listeners, its runs under way, and what is waited for.
 * Events reach it from the bus, from the ledger by way of the run watcher, or from this gateway itself; whichever
 * tells of an end first wins, so that each connection hears of it once.
 */
export class TenantHub implements TenantHandlers, TextTeller {
  readonly tenant: TenantId;
  readonly audience = new Audience();
  readonly feed: SessionsFeed;
  readonly teller: RunTeller;
  readonly runs = new Map<RunId, FollowedRun>();
  private readonly over = new RecentRuns();
  /** Runs of which text may have come since. */
  private readonly untold = new Set<FollowedRun>();
  private readonly watchers = new Map<RunId, Set<RunWatcher>>();
  private readonly deps: TenantHubDeps;

  constructor(tenant: TenantId, deps: TenantHubDeps) {
    this.tenant = tenant;
    this.deps = deps;
    this.feed = deps.feed(this.audience);
    this.teller = new RunTeller(this.audience, deps.bodies, deps.metrics, (listener) => {
      for (const run of this.runs.values()) {
        if (!run.behind?.has(listener)) continue;
        run.awaited = true;
        this.tellSoon(run);
      }
    });
  }

  onEvents(events: readonly RunEvent[]): void {
    const now = this.deps.clock.monotonic();
    for (const event of events) {
      const run = this.runOf(event, now);
      if (run === null) continue;
      run.heard(now);
      if (run.filling) {
        if (run.pending.length < PENDING_MAX) run.pending.push(event);
        continue;
      }
      const verdict = run.view.judge(event);
      if (verdict === "apply") {
        this.take(run, event);
        this.tellSoon(run);
      } else if (verdict === "gap") {
        run.pending.push(event);
        void this.fill(run);
      }
    }
  }

  /** Tells what came of texts since the last time. */
  tellTexts(): void {
    const ts = this.deps.clock.now();
    const runs = [...this.untold];
    this.untold.clear();
    for (const run of runs) {
      // A run that has ended has been told to its end; one that is being caught up with is told after that.
      if (run.end === null && run.filling === null) this.tellText(run, ts);
    }
  }

  onNotice(notice: Notice): void {
    if (notice.type === "session") this.feed.changed(notice.sessionKey, { reason: notice.reason });
    if (notice.type === "injected") {
      const { sessionKey, agentId, row } = notice;
      this.teller.injected({ tenant: this.tenant, sessionKey, agentId }, row);
      this.feed.changed(sessionKey, { reason: "message" });
    }
    if (notice.type === "cron") {
      const { type: _, ...change } = notice;
      const event = openEvent("cron", change);
      for (const listener of this.audience.all) if (listener.reads) listener.outbox.event(event, true);
    }
  }

  /** The subscription was cut and is back: every run is asked for what it did meanwhile. */
  onGap(): void {
    void this.catchUpAll();
  }

  /**
   * Follows a run that a request named. `made`: it was accepted just now; otherwise what it has done so far is
   * fetched. Null where the run's end was told while its row was read: everybody who asked has heard it.
   */
  track(record: RunRecord, requester: Listener | null, made: boolean): FollowedRun | null {
    const known = this.runs.get(record.runId);
    if (known) {
      known.view.sessionId = record.sessionId;
      known.requester ??= requester;
      return known;
    }
    if (this.endedMeanwhile(record, requester)) return null;
    const run = this.follow(record.sessionKey, record.agentId, record.runId);
    run.view.sessionId = record.sessionId;
    run.view.startedAt = record.startedAt ?? undefined;
    run.requester = requester;
    if (!made && record.status === "running") {
      run.view.retold = true;
      void this.fill(run);
    }
    return run;
  }

  /** Calls back once the run has ended; the answer takes the callback back. */
  onEnd(runId: RunId, end: (end: RunEnd) => void): () => void {
    return this.watch(runId, { end });
  }

  /** Tells one run to somebody who is no listener; the answer ends it. */
  watch(runId: RunId, watcher: RunWatcher): () => void {
    const watchers = this.watchers.get(runId) ?? new Set();
    watchers.add(watcher);
    this.watchers.set(runId, watchers);
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.watchers.get(runId) === watchers) this.watchers.delete(runId);
    };
  }

  /** Fetches what a run did since the last event known of it. Never rejects. */
  fill(run: FollowedRun): Promise<void> {
    run.filling ??= this.catchUp(run).finally(() => (run.filling = null));
    return run.filling;
  }

  /** Tells a run's end, by whom it became known first. */
  finish(run: FollowedRun, end: RunEnd): void {
    const { view } = run;
    const answered = end.rows !== undefined;
    if (!answered && end.mergedInto === undefined) this.teller.begin(run, end.endedAt);
    view.setText(end.text);
    view.lastRunSeq = end.runSeq;
    if (!answered) this.teller.text(run, end.endedAt, true);
    view.ended = true;
    run.end = end;
    if (answered) this.teller.answered(run, end);
    else this.teller.end(run, end);
    this.runs.delete(view.runId);
    this.over.add(view.runId, { lastRunSeq: end.runSeq, serial: this.audience.serial });
    const phase = end.status === "succeeded" || end.status === "aborted" ? "end" : "error";
    this.feed.changed(view.sessionKey, { reason: "agent.input.settled", phase, runId: view.runId });
    this.settle(view.runId, end);
  }

  /** Whether the listener was told the end of this run when it came. */
  toldEnd(listener: Listener, key: SessionKey, runId: RunId): boolean {
    const end = this.over.get(runId);
    return end !== undefined && this.audience.hearsSince(listener, key) <= end.serial;
  }

  /** The run is over and one listener is told so by the caller: its last events, should they come, are not news. */
  rememberEnd(runId: RunId, lastRunSeq: number): void {
    // Nobody else was told: a serial before all listeners.
    if (!this.over.get(runId)) this.over.add(runId, { lastRunSeq, serial: 0 });
  }

  /** What the ledger says of a run: ends it here if it has ended. */
  observe(record: RunRecord, now: number, busHealthy: boolean): void {
    const run = this.runs.get(record.runId);
    const { status } = record;
    if (!isEnded(status)) {
      run?.polled(now, busHealthy);
      if (run?.view.blind) void this.fill(run);
      return;
    }
    const end = endOfRecord({ ...record, status });
    if (!run) return this.settle(record.runId, end);
    // Where the row has no text (an abort before any was stored), what was seen of it stands.
    this.finish(run, record.result === null ? { ...end, text: run.view.text } : end);
  }

  /** Runs to look up in the ledger now: silent ones, and those somebody waits for without a view. */
  due(now: number, busHealthy: boolean): RunId[] {
    const due: RunId[] = [];
    for (const [runId, run] of this.runs) {
      if (run.pollAt <= now || (!busHealthy && run.heardAt + 1_000 <= now)) {
        due.push(runId);
        run.polled(now, busHealthy);
      }
    }
    for (const runId of this.watchers.keys()) if (!this.runs.has(runId)) due.push(runId);
    return due;
  }

  /** The ledger does not know these runs: they are forgotten after a while. */
  unknown(runIds: readonly RunId[], now: number): void {
    for (const runId of runIds) {
      const run = this.runs.get(runId);
      if (run && run.heardAt + UNKNOWN_RUN_MS < now) this.runs.delete(runId);
    }
  }

  leave(listener: Listener, sessions: Iterable<SessionKey>): void {
    this.audience.remove(listener, sessions);
    for (const run of this.runs.values()) run.forget(listener);
  }

  /** A listener subscribed a session: it lacks the text of the run under way there. */
  subscribed(listener: Listener, key: SessionKey): void {
    // Who has it already lacks nothing: it was told what came since then, or is marked as one that lacks it.
    const again = this.audience.hearsSince(listener, key) < Number.POSITIVE_INFINITY;
    this.audience.subscribe(listener, key);
    if (!listener.sessionScoped || again) return;
    for (const run of this.runs.values()) {
      if (run.view.sessionKey === key && run.view.told > 0) run.fellBehind(listener);
    }
  }

  get idle(): boolean {
    return this.audience.all.size === 0 && this.watchers.size === 0;
  }

  /** A redriven run is one of a later attempt: it comes back with its first event. */
  private endedMeanwhile({ attempt, runId, sessionKey }: RunRecord, requester: Listener | null): boolean {
    const end = this.over.get(runId);
    if (end === undefined || attempt > attemptOfRunSeq(end.lastRunSeq)) return false;
    return requester === null || this.audience.hearsSince(requester, sessionKey) <= end.serial;
  }

  private runOf(event: RunEvent, now: number): FollowedRun | null {
    const known = this.runs.get(event.runId);
    if (known) return known;
    const endedAt = this.over.get(event.runId)?.lastRunSeq;
    // Only a redriven run comes back: with a later attempt, whose first event is `started`.
    if (endedAt !== undefined && (event.runSeq <= endedAt || event.body.type !== "started")) return null;
    if (!this.audience.caresAbout(event.sessionKey) && !this.watchers.has(event.runId)) return null;
    const run = this.follow(event.sessionKey, event.agentId, event.runId);
    // Its beginning was told before this gateway listened: what is told first must not look like a continuation.
    if (placeOfRunSeq(event.runSeq) > 1) run.view.retold = true;
    run.heard(now);
    return run;
  }

  private follow(sessionKey: SessionKey, agentId: AgentId, runId: RunId): FollowedRun {
    const view = new RunView({ tenant: this.tenant, sessionKey, agentId, runId });
    const run = new FollowedRun(view, this.deps.clock.monotonic());
    this.runs.set(runId, run);
    return run;
  }

  /** Takes one event in and tells what is not text; text is told by the caller, once for all it took in. */
  private take(run: FollowedRun, event: RunEvent): void {
    const { view } = run;
    const { teller } = this;
    const { body, at } = event;
    const first = view.lastRunSeq === 0;
    view.absorb(event);
    const end = endOfEvent(view, event);
    if (end) return this.finish(run, end);
    if (body.type === "started") {
      if (!first) return;
      teller.preparing(run, at);
      this.feed.changed(view.sessionKey, {
        reason: "agent.run.started",
        phase: "start",
        runId: view.runId,
      });
    } else if (body.type === "message") {
      if (!isUserRow(body.row)) {
        teller.begin(run, at);
        teller.text(run, at, true);
        teller.row(run, body.row);
        this.eachWatcher(view, (watcher) => watcher.messageDone?.(view));
      } else {
        // The user's row comes before the start of the answer (protocol.md 4, one ordinary chat turn).
        teller.row(run, body.row);
        teller.begin(run, at);
      }
    } else if (body.type === "thinking") {
      teller.begin(run, at);
      run.thoughts += body.text;
    } else if (body.type === "tool") {
      teller.text(run, at, true);
      teller.begin(run, at);
      teller.tool(run, event);
    } else if (body.type === "usage") {
      teller.text(run, at, true);
      teller.usage(run, event);
    } else if (body.type === "compaction") {
      teller.begin(run, at);
      teller.compaction(run, event);
    }
  }

  private async catchUp(run: FollowedRun): Promise<void> {
    const { view } = run;
    const missed = await this.deps.bus
      .replay(this.tenant, view.sessionKey, view.runId, view.lastRunSeq)
      .catch(() => null);
    // What arrived meanwhile follows what was missed. Where the history is gone, the text is unknown until the next
    // event that carries all of it; the run watcher asks again.
    const events = [...(missed ?? []), ...run.pending];
    run.pending = [];
    for (const event of events) {
      if (view.judge(event) === "drop") continue;
      this.take(run, event);
    }
    if (run.end === null) this.tellSoon(run);
  }

  private tellSoon(run: FollowedRun): void {
    this.untold.add(run);
    this.deps.pace.tellSoon(this);
  }

  private tellText(run: FollowedRun, ts: number): void {
    const { view } = run;
    const { awaited } = run;
    run.awaited = false;
    this.teller.text(run, ts, awaited);
    if (awaited) this.teller.textToLate(run, ts, false);
    this.eachWatcher(view, (watcher) => watcher.text?.(view));
  }

  /** Nobody is told of a text that is not known. */
  private eachWatcher({ runId, blind }: RunView, tell: (watcher: RunWatcher) => void): void {
    const watchers = blind ? undefined : this.watchers.get(runId);
    if (watchers) for (const watcher of watchers) tell(watcher);
  }

  private async catchUpAll(): Promise<void> {
    const runs = [...this.runs.values()];
    for (let i = 0; i < runs.length; i += CATCH_UP_AT_ONCE) {
      await Promise.all(runs.slice(i, i + CATCH_UP_AT_ONCE).map((run) => this.fill(run)));
    }
  }

  private settle(runId: RunId, end: RunEnd): void {
    const watchers = this.watchers.get(runId);
    if (!watchers) return;
    this.watchers.delete(runId);
    for (const watcher of watchers) watcher.end(end);
  }
}

const isUserRow = (row: TranscriptRow): boolean =>
  "inline" in row.body ? row.body.inline.role === "user" : (row.idempotencyKey?.endsWith(":user") ?? false);
