import { HOT_TAIL_ROWS } from "../../core/transcript.ts";

/**
 * Rows of hot tail above which a finished run puts its session on the list of the archiver, and at which the archiver
 * takes it off: the same number that the archiver asks for, so that whatever is on the list is to be moved.
 */
export const SEAL_THRESHOLD_ROWS = HOT_TAIL_ROWS;
/** Most rows in one segment: keeps an object and the statement that empties its rows small. */
export const SEGMENT_MAX_ROWS = 1_000;
/** Bytes of bodies, as the server keeps them, that are offered to the archiver at once: what it holds in memory. */
export const SEAL_MAX_BYTES = 4 * 1024 * 1024;
