import type { SessionKey } from "../core/ids.ts";
import type { Outbox } from "./outbox.ts";

/** What the tellers need to know of a connection. */
export interface Listener {
  readonly outbox: Outbox;
  /** Holds `operator.read` or more; without it a connection is told nothing but ticks. */
  readonly reads: boolean;
  /** Cap `session-scoped-events`: run events only of the sessions it subscribed. */
  readonly sessionScoped: boolean;
  /** Cap `tool-events`. */
  readonly toolEvents: boolean;
  /** When it joined, in the order of joins; set by the audience. */
  joinSerial: number;
}

/**
 * Who of a tenant is told what (protocol.md 4): `chat` and `agent` events go to every reader, or, with the cap
 * `session-scoped-events`, to those that subscribed the session; transcript rows to those that subscribed the session
 * or all sessions; `sessions.changed` to the latter only.
 */
export class Audience {
  readonly all = new Set<Listener>();
  readonly sessionWatchers = new Set<Listener>();
  /** Grows with every join and subscription: tells who was there when something was said. */
  serial = 0;
  private readonly wide = new Set<Listener>();
  /** Who subscribed a session, with the serial of the subscription. */
  private readonly bySession = new Map<SessionKey, Map<Listener, number>>();

  add(listener: Listener): void {
    listener.joinSerial = ++this.serial;
    this.all.add(listener);
    if (listener.reads && !listener.sessionScoped) this.wide.add(listener);
  }

  remove(listener: Listener, sessions: Iterable<SessionKey>): void {
    this.all.delete(listener);
    this.wide.delete(listener);
    this.sessionWatchers.delete(listener);
    for (const key of sessions) this.unsubscribe(listener, key);
  }

  subscribe(listener: Listener, key: SessionKey): void {
    const listeners = this.bySession.get(key) ?? new Map<Listener, number>();
    if (!listeners.has(listener)) listeners.set(listener, ++this.serial);
    this.bySession.set(key, listeners);
  }

  unsubscribe(listener: Listener, key: SessionKey): void {
    const listeners = this.bySession.get(key);
    if (!listeners?.delete(listener)) return;
    if (listeners.size === 0) this.bySession.delete(key);
  }

  /** Whether anybody would be told of a run of this session. */
  caresAbout(key: SessionKey): boolean {
    return this.wide.size > 0 || this.sessionWatchers.size > 0 || this.bySession.has(key);
  }

  /** Serial since which the listener has been told of the session's runs; infinite where it is not. */
  hearsSince(listener: Listener, key: SessionKey): number {
    if (this.wide.has(listener)) return listener.joinSerial;
    const since = listener.sessionScoped ? this.bySession.get(key)?.get(listener) : undefined;
    return since ?? Number.POSITIVE_INFINITY;
  }

  forEachRunReader(key: SessionKey, tell: (listener: Listener) => void): void {
    for (const listener of this.wide) tell(listener);
    const scoped = this.bySession.get(key);
    if (scoped) for (const listener of scoped.keys()) if (listener.sessionScoped) tell(listener);
  }

  forEachRowReader(key: SessionKey, tell: (listener: Listener) => void): void {
    for (const listener of this.sessionWatchers) tell(listener);
    const scoped = this.bySession.get(key);
    if (scoped) for (const listener of scoped.keys()) if (!this.sessionWatchers.has(listener)) tell(listener);
  }
}
