import { isExcluded } from "./compaction.ts";
import { isForModelOnly } from "./provenance.ts";
import { messageText, type TranscriptMessage } from "./transcript.ts";

/** Characters of a message that lists show as the session's last text, and as its title. */
const PREVIEW_CHARACTERS = 200;
const TITLE_CHARACTERS = 120;

const SURROGATE = /[\ud800-\udfff]/;

/** Counts code points, so that no surrogate pair is cut; what a text column cannot hold becomes U+FFFD. */
function firstCharacters(text: string, count: number): string {
  const units = text.slice(0, count * 2);
  // Most texts have no pairs, and taking one apart costs more than all else that is done with it here.
  const characters = SURROGATE.test(units)
    ? Array.from(units).slice(0, count).join("")
    : units.slice(0, count);
  return characters.replaceAll("\u0000", "\ufffd").toWellFormed();
}

/** The beginning of a text as `lastMessagePreview` of its session; null where there is nothing to show. */
export const previewOf = (text: string): string | null =>
  text === "" ? null : firstCharacters(text, PREVIEW_CHARACTERS);

/** What a row of the transcript makes of its session's preview and title; null leaves them as they are. */
export function excerptsOf(message: TranscriptMessage): {
  readonly preview: string | null;
  readonly title: string | null;
} {
  // A command tells nobody what a session is about, and what is hidden in its history is hidden in lists.
  const isSpoken =
    (message.role === "user" || message.role === "assistant") &&
    !isExcluded(message) &&
    !isForModelOnly(message);
  const text = isSpoken ? messageText(message) : "";
  if (text === "") return { preview: null, title: null };
  return {
    preview: previewOf(text),
    title: message.role === "user" ? firstCharacters(text, TITLE_CHARACTERS) : null,
  };
}
