/** Rows of hot tail above which a finished run puts its session on the list of the archiver. */
export const SEAL_THRESHOLD_ROWS = 64;
/** Most rows in one segment: keeps an object and the statement that empties its rows small. */
export const SEGMENT_MAX_ROWS = 1_000;
