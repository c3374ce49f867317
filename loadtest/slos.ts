/**
 * What the service promises its users, each with the reason for its value. Profiles and their thresholds refer to
 * these and name no number of their own, so that a promise is changed in one place.
 *
 * Times are milliseconds as a client sees them, and what the model takes is not in them: a run's own cost is known
 * beforehand (directives of the demo model) and is added where a threshold is about a whole answer.
 */
export const SLOS = {
  /** "99.9 % of requests": refusals that ask to come again are not among the failures, everything unforeseen is. */
  unplannedShare: 0.001,
  /** A person takes a quarter second for at once. */
  ackP99Ms: 250,
  /** From the acknowledgement until a worker has the run, while there is room for it. */
  queueWaitP99Ms: 500,
  /** On top of the model: a first word within a second still feels like an answer to what was typed. */
  firstDeltaOverheadP99Ms: 1_000,
  endToEndOverheadP99Ms: 1_500,
  /** From a broken connection to the next event over another one; the same as after a gateway's death. */
  reconnectGapP99Ms: 1_000,
  historyP99Ms: 500,
  /** From asking for an abort to the run's end at the client. */
  abortP99Ms: 1_000,
  connectP99Ms: 1_000,
  /** After a burst has ended, waiting is as short as promised again within this time. */
  burstRecoverySeconds: 15,
  /** A neighbour's flood may make a quiet tenant wait at most so many times longer than without it … */
  quietWaitRatio: 2,
  /** … or up to this, below which a ratio compares the noise of two small numbers. */
  quietWaitFloorMs: 150,
  /** Megabytes are read, stored and sent back: their acknowledgement is a promise of its own. */
  bigMessageAckP99Ms: 2_000,
  bigMessageOverheadP99Ms: 10_000,
} as const;

/** Above these the figures of a run are more about the generator or its neighbours than about the service. */
export const GENERATOR_LIMITS = {
  /** How late messages leave it, while connected. */
  lagP99Ms: 100,
  /** Its part of the machine's CPU time. */
  machineShare: 0.5,
  /** The part of programs that have nothing to do with the test. */
  othersShare: 0.25,
} as const;
