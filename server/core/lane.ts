/** OpenClaw's global lanes; lane `session:<key>` of width 1 is the session lease itself. */
export const LANES = ["main", "subagent", "cron"] as const;
export type Lane = (typeof LANES)[number];

/** How many sessions of one tenant may be executing in each lane at once. */
export type LaneWidths = Readonly<Record<Lane, number>>;

export const isLane = (value: string): value is Lane => (LANES as readonly string[]).includes(value);
