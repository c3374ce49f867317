/** OpenClaw's global lanes; lane `session:<key>` of width 1 is the session lease itself. */
export const LANES = ["main", "subagent", "cron"] as const;
export type Lane = (typeof LANES)[number];

/** How many sessions of one tenant may be executing in each lane at once. */
export type LaneWidths = Readonly<Record<Lane, number>>;

export const isLane = (value: string): value is Lane => (LANES as readonly string[]).includes(value);

/**
 * The lane of a session's runs, whoever sends them. A lane is a property of the session, not of a run: the queue and
 * `session_leases` know one lane for each session, so a session with runs of two lanes would go on from one to the
 * other without asking for its width. As cron jobs and subagents have sessions of their own, none needs that.
 */
export function laneOfSession(key: string): Lane {
  const [, , kind, name] = key.split(":");
  if (name === undefined) return "main";
  return kind === "cron" || kind === "subagent" ? kind : "main";
}
