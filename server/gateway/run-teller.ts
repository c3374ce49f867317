import { isForModelOnly } from "../core/provenance.ts";
import type { RunEvent } from "../core/run-event.ts";
import type { TenantId } from "../core/ids.ts";
import type { TranscriptMessage, TranscriptRow } from "../core/transcript.ts";
import type { Audience, Listener } from "./audience.ts";
import type { BodyReader } from "./bodies.ts";
import type { FollowedRun } from "./followed-run.ts";
import type { GatewayMetrics } from "./metrics.ts";
import {
  agentAssistant,
  agentCompaction,
  agentEnd,
  agentItem,
  agentModel,
  agentRunStatus,
  agentStart,
  agentThinking,
  agentTool,
  agentUsage,
  chatDelta,
  chatEnd,
  chatStatus,
} from "./projection/run-frames.ts";
import { chatInjected, sessionMessage, unavailableMessage } from "./projection/transcript-row.ts";
import { type OpenEvent, openEvent } from "./protocol/frames.ts";
import type { RunEnd, RunView } from "./run-view.ts";

/** A text longer than this is told in steps of 1/128 of its length, so that cumulative frames cost O(n), not O(n²). */
const TELL_STEP_SHIFT = 7;

type SessionOfRow = Pick<RunView, "tenant" | "sessionKey" | "agentId">;

const lazily = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
};

/**
 * True while this gateway catches up with a run that another one has begun to tell: its clients may have heard the
 * beginning there. The beginning is told with the text as it stands then, so that numbers do not go back for them.
 */
const isOldNews = ({ filling, view }: FollowedRun): boolean => filling !== null && view.retold;

/**
 * Turns what happened in a run into frames and tells them to those who may hear them. A payload is encoded once per
 * gateway and only if there is a listener; the outer seq is written in per connection.
 */
export class RunTeller {
  private readonly audience: Audience;
  private readonly bodies: BodyReader;
  private readonly metrics: GatewayMetrics;
  private readonly keepsUpAgain: (listener: Listener) => void;

  /** @param keepsUpAgain called when text can be told to a listener that was not told all of it */
  constructor(
    audience: Audience,
    bodies: BodyReader,
    metrics: GatewayMetrics,
    keepsUpAgain: (listener: Listener) => void,
  ) {
    this.keepsUpAgain = keepsUpAgain;
    this.audience = audience;
    this.bodies = bodies;
    this.metrics = metrics;
  }

  /** A worker has the run: shown by clients while there is no text yet. */
  preparing(run: FollowedRun, ts: number): void {
    if (isOldNews(run)) return;
    const phase = "preparing_context";
    this.tell(run, "chat", () => chatStatus(run.view, phase), true);
    this.tell(run, "agent", () => agentRunStatus(run.view, ts, phase), true);
  }

  begin(run: FollowedRun, ts: number): void {
    if (!isOldNews(run)) this.tellBegin(run, ts);
  }

  private tellBegin(run: FollowedRun, ts: number): void {
    const { view } = run;
    if (view.begun) return;
    view.begun = true;
    this.tell(run, "agent", () => agentStart(view, ts), false);
    this.tell(run, "chat", () => chatStatus(view, "starting_model"), true);
    if (view.model) this.tell(run, "agent", () => agentModel(view, ts), true);
  }

  /**
   * Tells what was thought and what was added to the text since the last time. Who lacks the beginning gets the whole
   * text with `replace: true` instead; so does, later, who has not taken what was sent before. `all`: also a last bit
   * too short to be worth a frame of its own.
   */
  text(run: FollowedRun, ts: number, all: boolean): void {
    const { view } = run;
    this.thoughts(run, ts);
    if (view.blind || !view.untold) return;
    const fresh = view.text.length - view.told;
    if (!all && !view.retold && fresh < view.text.length >> TELL_STEP_SHIFT) return;
    this.tellBegin(run, ts);
    const replace = view.retold;
    const added = view.text.slice(view.told);
    const agent = lazily(() => openEvent("agent", agentAssistant(view, ts, added, replace)));
    const chat = lazily(() => openEvent("chat", chatDelta(view, ts, added, replace)));
    const wholeAgent = lazily(() => openEvent("agent", agentAssistant(view, ts, view.text, true)));
    const wholeChat = lazily(() => openEvent("chat", chatDelta(view, ts, view.text, true)));
    this.audience.forEachRunReader(view.sessionKey, (listener) => {
      if (run.held?.has(listener)) return;
      if (!listener.outbox.keepsUp) return this.postpone(run, listener);
      const whole = !replace && run.needsWhole(listener);
      this.send(listener, whole ? wholeAgent() : agent(), true);
      if (!this.send(listener, whole ? wholeChat() : chat(), true)) run.fellBehind(listener);
      else if (whole || replace) run.gotWhole(listener);
    });
    view.told = view.text.length;
    view.retold = false;
    if (run.toldSince === Number.POSITIVE_INFINITY) run.toldSince = this.audience.serial;
  }

  /**
   * The whole text to those who lack some of it: who came after its pieces were told, or did not keep up with them.
   * `last`: also to who does not keep up yet, for the end is near, and waits for it in any case.
   */
  textToLate(run: FollowedRun, ts: number, last: boolean): void {
    const { view } = run;
    if (view.text === "" || view.blind) return;
    const agent = lazily(() => openEvent("agent", agentAssistant(view, ts, view.text, true)));
    const chat = lazily(() => openEvent("chat", chatDelta(view, ts, view.text, true)));
    this.audience.forEachRunReader(view.sessionKey, (listener) => {
      if (run.held?.has(listener) || !run.needsWhole(listener)) return;
      if (!last && !listener.outbox.keepsUp) return;
      this.send(listener, agent(), true);
      if (this.send(listener, chat(), true)) run.gotWhole(listener);
    });
  }

  private postpone(run: FollowedRun, listener: Listener): void {
    run.fellBehind(listener);
    listener.outbox.onceKeepsUp(() => this.keepsUpAgain(listener));
    this.metrics.event("postponed");
  }

  private thoughts(run: FollowedRun, ts: number): void {
    const { thoughts, view } = run;
    if (thoughts === "") return;
    run.thoughts = "";
    this.tell(run, "agent", () => agentThinking(view, ts, thoughts), true);
  }

  usage(run: FollowedRun, event: RunEvent): void {
    const { body } = event;
    if (body.type === "usage")
      this.tell(run, "agent", () => agentUsage(run.view, event.at, body.usage), true);
  }

  compaction(run: FollowedRun, event: RunEvent): void {
    const { body } = event;
    if (body.type === "compaction")
      this.tell(run, "agent", () => agentCompaction(run.view, event.at, body), false);
  }

  tool(run: FollowedRun, event: RunEvent): void {
    const { body } = event;
    if (body.type !== "tool") return;
    this.tell(run, "agent", () => agentItem(run.view, event.at, body), body.phase === "update");
    const { requester } = run;
    if (requester === null || !requester.toolEvents || run.held?.has(requester)) return;
    this.send(requester, openEvent("agent", agentTool(run.view, event.at, body)), body.phase === "update");
  }

  /** A committed transcript row. One that lies in object storage is told when its bytes are here. */
  row({ view }: FollowedRun, row: TranscriptRow): void {
    let anyone = false;
    this.audience.forEachRowReader(view.sessionKey, () => (anyone = true));
    if (anyone) this.withBody(view.tenant, row, (message) => this.tellRow(view, row, message));
  }

  /** A row that no run wrote, and the final of a run that there is not, by which clients show it. */
  injected(session: SessionOfRow, row: TranscriptRow): void {
    this.withBody(session.tenant, row, (message) => {
      const event = openEvent("chat", chatInjected(session, row, message));
      this.audience.forEachRunReader(session.sessionKey, (listener) => this.send(listener, event, false));
      this.tellRow(session, row, message);
    });
  }

  private tellRow(
    { sessionKey, agentId }: SessionOfRow,
    row: TranscriptRow,
    message: TranscriptMessage,
  ): void {
    if (isForModelOnly(message)) return;
    const event = openEvent("session.message", sessionMessage(sessionKey, agentId, row, message));
    this.audience.forEachRowReader(sessionKey, (listener) => this.send(listener, event, false));
  }

  /** At once where the body lies in the row; else when its bytes are here. */
  private withBody(tenant: TenantId, row: TranscriptRow, tell: (message: TranscriptMessage) => void): void {
    if ("inline" in row.body) return tell(row.body.inline);
    void this.bodies.load(tenant, row.body).then(tell, () => tell(unavailableMessage(row)));
  }

  /** The last events of a run. Nobody is skipped for being slow: these carry the truth. */
  end(run: FollowedRun, end: RunEnd): void {
    this.textToLate(run, end.endedAt, true);
    if (end.mergedInto === undefined) this.tell(run, "agent", () => agentEnd(run.view, end), false);
    this.tell(run, "chat", () => chatEnd(run.view, end), false);
  }

  /** A run that no model answered: what was asked, the one terminal event, what was answered (protocol.md 5). */
  answered(run: FollowedRun, end: RunEnd): void {
    const [asked, ...answers] = end.rows ?? [];
    if (asked) this.row(run, asked);
    this.tell(run, "chat", () => chatEnd(run.view, end), false);
    for (const row of answers) this.row(run, row);
  }

  /** One event to one listener; false when it was not sent. */
  send(listener: Listener, event: OpenEvent, droppable: boolean): boolean {
    const delivery = listener.outbox.event(event, droppable);
    this.metrics.event(delivery);
    return delivery === "sent";
  }

  private tell(run: FollowedRun, name: string, payload: () => unknown, droppable: boolean): void {
    const event = lazily(() => openEvent(name, payload()));
    this.audience.forEachRunReader(run.view.sessionKey, (listener) => {
      if (!run.held?.has(listener)) this.send(listener, event(), droppable);
    });
  }
}
