/** What jsonb refuses inside strings: NUL, and halves of surrogate pairs. Source: PostgreSQL manual 8.14. */
const SUSPECT = /\\u(?:0000|d[89a-f])/i;

/**
 * JSON for a jsonb parameter. Characters that jsonb cannot hold become U+FFFD, so that one odd text cannot fail the
 * batch that it travels in; message bodies are not concerned, since they travel as text and are stored as json.
 */
export function jsonbParameter(value: unknown): string {
  const text = JSON.stringify(value);
  if (!SUSPECT.test(text)) return text;
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "string" ? part.replaceAll("\u0000", "\ufffd").toWellFormed() : part,
  );
}
