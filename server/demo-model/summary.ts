/** A question for a summary (core/summary-prompt.ts), as the demo model tells it from an ordinary message. */
export interface SummaryQuestion {
  readonly conversation: string;
  /** What stands behind the conversation: previous summary, format and wishes. Directives count here alone. */
  readonly task: string;
}

/** Null for any other text. */
export function summaryQuestion(userText: string): SummaryQuestion | null {
  const end = userText.lastIndexOf("\n</conversation>");
  if (!userText.startsWith("<conversation>\n") || end === -1) return null;
  return {
    conversation: userText.slice("<conversation>\n".length, end),
    task: userText.slice(end + "\n</conversation>".length),
  };
}

/** Lines of a demo summary, and characters of each. */
const LINES_MAX = 20;
const LINE_CHARACTERS = 80;

/** A short summary in the format asked for: what users said last, behind what the previous summary had. */
export function demoSummary({ conversation, task }: SummaryQuestion): string {
  const known = /<previous-summary>\n([\s\S]*?)\n<\/previous-summary>/.exec(task)?.[1] ?? "";
  const facts = [
    ...known.split("\n").filter((line) => line.startsWith("- said: ")),
    ...[...conversation.matchAll(/^\[User\]: (.*)$/gm)].map(
      ([, said = ""]) => `- said: ${said.slice(0, LINE_CHARACTERS)}`,
    ),
  ];
  return `## Goal\nA conversation with the demo model.\n\n## Critical Context\n${facts.slice(-LINES_MAX).join("\n")}`;
}
