/**
 * What the demo model says when it is told that a subagent has ended: the outcome in its own words, as models are asked to.
 * The event itself is not for people. Null for any other text.
 */
export function toldOfSubagent(userText: string): string | null {
  if (!userText.startsWith("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\n")) return null;
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(userText)?.[1] ?? "unknown";
  const result = /<<<BEGIN_UNTRUSTED_CHILD_RESULT>>>\n([^]*?)\n<<<END_UNTRUSTED_CHILD_RESULT>>>/.exec(
    userText,
  );
  const [status = ""] = field("status").split(";");
  return `My subagent ${JSON.stringify(field("task"))} has ended: ${status}.\n\n${result?.[1] ?? ""}`.trim();
}
