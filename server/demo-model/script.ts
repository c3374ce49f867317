import { readFile } from "node:fs/promises";
import { HAError } from "../core/errors.ts";
import { type DemoDirective, parseDirective, parseDirectives, PLAIN } from "./directives.ts";
import { summaryQuestion } from "./summary.ts";

/** What decides the answers of one demo model: directives in the message first, then the script's rules. */
export interface DemoScript {
  /** The directive of the call, and the user's text without directives. */
  directiveFor(userText: string, callsAnswered: number): { directive: DemoDirective; words: string };
}

interface Rule {
  readonly contains: string;
  readonly replies: readonly DemoDirective[];
}

/** No rules: directives in the message alone. */
export const noScript = (): DemoScript => scriptOf(PLAIN, []);

/**
 * Reads a script file, JSON:
 *
 *     { "default": "latency=300 chunks=20 delay=50",
 *       "rules": [{ "contains": "weather", "replies": ["tool=weather{\"city\":\"Oslo\"}", "text=\"Rain.\""] }] }
 *
 * A rule serves the messages that contain its text; its n-th reply the n-th model call after such a message.
 * @throws HAError CONFIG_INVALID naming the file and what is wrong with it
 */
export async function readScript(file: string): Promise<DemoScript> {
  try {
    const { default: fallback = "", rules = [] } = JSON.parse(await readFile(file, "utf8")) as {
      default?: string;
      rules?: { contains: string; replies: string[] }[];
    };
    const parsed = rules.map(({ contains, replies }): Rule => {
      if (typeof contains !== "string" || contains === "") throw new Error("a rule needs `contains`");
      return { contains, replies: replies.map(parseDirective) };
    });
    return scriptOf(parseDirective(fallback), parsed);
  } catch (error) {
    throw new HAError(
      "CONFIG_INVALID",
      `demo model script ${file}: ${error instanceof Error ? error.message : String(error)}`,
      { file },
      { cause: error },
    );
  }
}

function scriptOf(fallback: DemoDirective, rules: readonly Rule[]): DemoScript {
  return {
    directiveFor(userText, callsAnswered) {
      // What was said in a conversation that is to be summarised was for other calls.
      const asked = summaryQuestion(userText)?.task ?? userText;
      const { directives, rest } = parseDirectives(asked);
      const replies =
        directives.length > 0
          ? directives
          : (rules.find((rule) => asked.includes(rule.contains))?.replies ?? []);
      return { directive: replyOf(replies, callsAnswered, fallback), words: rest };
    },
  };
}

/** Reply n for call n; calls beyond the last reply keep its pace and are otherwise plain. */
function replyOf(replies: readonly DemoDirective[], call: number, fallback: DemoDirective): DemoDirective {
  const reply = replies[call];
  if (reply !== undefined) return reply;
  const last = replies.at(-1);
  if (last === undefined) return fallback;
  return { ...PLAIN, latency: last.latency, chunks: last.chunks, delay: last.delay };
}
