const COMPACT = /^\/compact(?:\s*:\s*|\s+|$)([\s\S]*)$/i;

/**
 * What a `/compact` wants the summary to look at, or empty; null for any other message. Unlike the other commands it
 * needs a model and the session's lease, and so it is a run: idempotent, in the session's order, resumed by others.
 */
export const compactInstructions = (message: string): string | null =>
  COMPACT.exec(message.trim())?.[1]?.trim() ?? null;
