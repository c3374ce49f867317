import type { TrafficSpec } from "../scenario.ts";

/** What clients do in most scenarios: all that the protocol offers, over two tenants, with one session that is hot. */
export const MAIN_TRAFFIC: TrafficSpec = {
  tenants: 2,
  sessions: 6,
  clients: 6,
  perSecond: 14,
  hot: 0.2,
  // Quick answers, and some that last long enough to be broken in the middle.
  directives: ["chunks=3 delay=10", "chunks=6 delay=40", "chunks=10 delay=60", "chunks=4"],
  mix: {
    duplicates: 0.06,
    conflicts: 0.05,
    aborts: 0.04,
    interrupts: 0.06,
    histories: 0.06,
    followers: 0.15,
    lostAnswers: 0.06,
    reordered: 0.05,
  },
};

/** Fewer and longer runs: what is done to their worker meets them in the middle of a stream. */
export const LONG_RUNS: TrafficSpec = {
  ...MAIN_TRAFFIC,
  perSecond: 7,
  // One session has room for about one of these a second.
  hot: 0.08,
  directives: ["chunks=20 delay=60", "chunks=12 delay=50"],
  mix: { ...MAIN_TRAFFIC.mix, aborts: 0.02 },
};

/** Messages and answers above what a row may hold: they go to object storage first. */
export const LARGE_BODIES: TrafficSpec = {
  ...MAIN_TRAFFIC,
  perSecond: 8,
  directives: ["chunks=4 delay=20 repeat=400", "chunks=3 delay=10"],
};

/** What is stored needs room at once. */
export const LARGE_MESSAGES: TrafficSpec = {
  ...MAIN_TRAFFIC,
  perSecond: 8,
  directives: ["chunks=2 delay=10"],
  mix: { ...MAIN_TRAFFIC.mix, large: 0.6 },
};

/**
 * Two sessions in which somebody always says something more, in any mode, while a turn is under way; most turns call a
 * tool, so that there is a moment at which a message may join them.
 */
export const QUEUE_MODES: TrafficSpec = {
  ...MAIN_TRAFFIC,
  sessions: 2,
  perSecond: 10,
  hot: 0.5,
  directives: ["latency=250 tool=look", "latency=250 tool=look", "chunks=6 delay=40"],
  mix: { ...MAIN_TRAFFIC.mix, interrupts: 0.7, aborts: 0.02 },
};

/** Messages whose runs spawn subagents, which end at any moment and are announced in the session that is still busy. */
export const SUBAGENTS: TrafficSpec = {
  ...MAIN_TRAFFIC,
  sessions: 3,
  perSecond: 5,
  directives: ["chunks=10 delay=60"],
  mix: { ...MAIN_TRAFFIC.mix, aborts: 0, interrupts: 0, subagents: 0.5 },
};

/** Cron jobs for one time within the next seconds, in sessions that people talk in. */
export const CRON_JOBS: TrafficSpec = {
  ...MAIN_TRAFFIC,
  perSecond: 10,
  directives: ["chunks=4 delay=20"],
  mix: { ...MAIN_TRAFFIC.mix, cronJobs: 0.5 },
};

/** Many sessions and none that is hot: what holds one of them up does not hold up the next message. */
export const SPREAD_OUT: TrafficSpec = { ...MAIN_TRAFFIC, sessions: 24, perSecond: 10, hot: 0 };

/** Clients as bad as they may be. */
export const QUARRELSOME: TrafficSpec = {
  ...MAIN_TRAFFIC,
  hot: 0.3,
  directives: ["chunks=3 delay=5", "chunks=3"],
  mix: {
    duplicates: 0.3,
    conflicts: 0.25,
    aborts: 0.1,
    interrupts: 0.15,
    histories: 0.05,
    followers: 0.2,
    lostAnswers: 0.3,
    reordered: 0.2,
  },
};
