import { HAError } from "../core/errors.ts";

/** A tool call that the demo model makes when it is told to. */
export interface DemoToolCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** How one model call is to be answered. All times are milliseconds. */
export interface DemoDirective {
  /** Before the first byte. */
  readonly latency: number;
  /** Pieces that the text is sent in; 0: the default. */
  readonly chunks: number;
  /** Between two pieces. 0: everything in one write. */
  readonly delay: number;
  /** Text in place of the echo; null: the echo. */
  readonly text: string | null;
  /** The echo also repeats the earlier user messages that the request holds: what the model was really sent. */
  readonly recall: boolean;
  /** The text this many times. */
  readonly repeat: number;
  readonly thinking: string | null;
  readonly tools: readonly DemoToolCall[];
  readonly finish: "stop" | "length";
  /** `input/output/cached` tokens; null: counted from the characters. */
  readonly usage: { readonly input: number; readonly output: number; readonly cached: number } | null;
  /** Tokens above which the request is refused as too long, as by providers; null: it may have any length. */
  readonly window: number | null;
  readonly failure: DemoFailure | null;
  /** How many calls of the same conversation fail before it works; Infinity: all of them. */
  readonly times: number;
}

export type DemoFailure =
  /** An HTTP status instead of an answer. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly code: string | null;
      readonly message: string | null;
      readonly retryAfterSeconds: number | null;
    }
  /** The socket is cut after so many pieces; 0: before the headers. */
  | { readonly kind: "disconnect"; readonly after: number }
  /** The stream ends in good order after so many pieces, but without an end of the answer, as broken proxies do it. */
  | { readonly kind: "truncate"; readonly after: number }
  /** Nothing more is sent after so many pieces, and the socket stays open. */
  | { readonly kind: "stall"; readonly after: number }
  /** No headers, ever. */
  | { readonly kind: "hang" };

export const PLAIN: DemoDirective = {
  latency: 0,
  chunks: 0,
  delay: 0,
  text: null,
  recall: false,
  repeat: 1,
  thinking: null,
  tools: [],
  finish: "stop",
  usage: null,
  window: null,
  failure: null,
  times: Number.POSITIVE_INFINITY,
};

/** Longest waits and largest counts that a directive may ask for: it comes from whoever writes the message. */
const LIMITS = { waitMs: 600_000, chunks: 100_000, repeat: 1_000_000 };

/** `[[demo` as a word of its own. */
const OPENING = /\[\[demo(?=\s|\]\])/g;

/**
 * The directives of a text, in order, and the text without them. A directive that cannot be read is an error, not
 * ignored: a test that misspells one should notice.
 *
 *     [[demo latency=200 chunks=20 delay=50 tool=add{"a":1,"b":2}]] [[demo text="It is 3."]]
 *
 * The n-th directive answers the n-th model call of the turn. The pool's own tools are called the same way; a subagent's
 * task may hold directives of its own, with a label beside it, as the announcement of its end repeats a task without one:
 *
 *     [[demo tool=sessions_spawn{"task":"[[demo delay=50]] count to three","label":"counting"}]] [[demo text="On it."]]
 *
 * @throws HAError REQUEST_INVALID naming the word that was not understood
 */
export function parseDirectives(text: string): { directives: DemoDirective[]; rest: string } {
  const directives: DemoDirective[] = [];
  let rest = "";
  let from = 0;
  for (const match of text.matchAll(OPENING)) {
    if (match.index < from) continue; // inside a quoted text of the last one
    const { words, end } = readWords(text, match.index + match[0].length);
    rest += text.slice(from, match.index);
    directives.push(directiveOf(words));
    from = end;
  }
  return { directives, rest: from === 0 ? text : (rest + text.slice(from)).trim() };
}

/** One directive from its words alone, as script files write it: `latency=200 chunks=20`. */
export function parseDirective(words: string): DemoDirective {
  return directiveOf(readWords(`${words}]]`, 0).words);
}

const invalid = (why: string): HAError =>
  new HAError("REQUEST_INVALID", `demo directive: ${why}; see server/demo-model/directives.ts`);

/** Splits at white space outside quotes and braces, up to the closing `]]`. */
function readWords(text: string, start: number): { words: string[]; end: number } {
  const words: string[] = [];
  let word = "";
  let quoted = false;
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    const char = text[i] as string;
    if (quoted) {
      word += char;
      if (char === "\\") word += text[++i] ?? "";
      else if (char === '"') quoted = false;
      continue;
    }
    if (depth === 0 && text.startsWith("]]", i)) {
      if (word !== "") words.push(word);
      return { words, end: i + 2 };
    }
    if (depth === 0 && /\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    if (char === '"') quoted = true;
    else if (char === "{") depth++;
    else if (char === "}") depth--;
    word += char;
  }
  throw invalid("no closing ]]");
}

function directiveOf(words: readonly string[]): DemoDirective {
  const directive: { -readonly [Key in keyof DemoDirective]: DemoDirective[Key] } = { ...PLAIN };
  const tools: DemoToolCall[] = [];
  let code: string | null = null;
  let message: string | null = null;
  let retryAfterSeconds: number | null = null;
  for (const word of words) {
    const cut = word.indexOf("=");
    const name = cut < 0 ? word : word.slice(0, cut);
    const value = cut < 0 ? "" : word.slice(cut + 1);
    switch (name) {
      case "latency":
      case "delay":
        directive[name] = numberOf(name, value, LIMITS.waitMs);
        break;
      case "chunks":
      case "repeat":
        directive[name] = numberOf(name, value, LIMITS[name]);
        break;
      case "text":
      case "thinking":
        directive[name] = stringOf(name, value);
        break;
      case "tool":
        tools.push(toolOf(value));
        break;
      case "finish":
        if (value !== "stop" && value !== "length") throw invalid("finish is stop or length");
        directive.finish = value;
        break;
      case "usage":
        directive.usage = usageOf(value);
        break;
      case "window":
        directive.window = numberOf(name, value, Number.MAX_SAFE_INTEGER);
        break;
      case "times":
        directive.times = numberOf(name, value, Number.MAX_SAFE_INTEGER);
        break;
      case "error":
      case "status":
        directive.failure = {
          kind: "status",
          status: statusOf(value),
          code: null,
          message: null,
          retryAfterSeconds: null,
        };
        break;
      case "code":
        code = stringOf(name, value);
        break;
      case "message":
        message = stringOf(name, value);
        break;
      case "retry-after":
        retryAfterSeconds = numberOf(name, value, 86_400);
        break;
      case "disconnect":
      case "truncate":
      case "stall":
        directive.failure = { kind: name, after: numberOf(name, value || "0", LIMITS.chunks) };
        break;
      case "recall":
        directive.recall = true;
        break;
      case "hang":
        directive.failure = { kind: "hang" };
        break;
      default:
        throw invalid(`unknown word ${JSON.stringify(word.slice(0, 40))}`);
    }
  }
  directive.tools = tools;
  if (directive.failure?.kind === "status") {
    directive.failure = { ...directive.failure, code, message, retryAfterSeconds };
  }
  return directive;
}

function numberOf(name: string, value: string, max: number): number {
  const number = Number(value);
  if (value !== "" && Number.isFinite(number) && number >= 0 && number <= max) return number;
  throw invalid(`${name} is a number from 0 to ${max}`);
}

function statusOf(value: string): number {
  const status = Number(value);
  if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
  throw invalid("error is an HTTP status from 400 to 599");
}

/** A bare word, or a JSON string. */
function stringOf(name: string, value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    throw invalid(`${name} is not a JSON string`);
  }
}

/** `name` or `name{json}`. */
function toolOf(value: string): DemoToolCall {
  const brace = value.indexOf("{");
  const name = brace < 0 ? value : value.slice(0, brace);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) throw invalid("tool is name{json}");
  if (brace < 0) return { name, args: {} };
  try {
    return { name, args: JSON.parse(value.slice(brace)) as Record<string, unknown> };
  } catch {
    throw invalid(`the arguments of tool ${name} are not JSON`);
  }
}

function usageOf(value: string): NonNullable<DemoDirective["usage"]> {
  const [input, output, cached = 0] = value.split("/").map(Number);
  if ([input, output, cached].every((count) => Number.isSafeInteger(count) && Number(count) >= 0)) {
    return { input: Number(input), output: Number(output), cached };
  }
  throw invalid("usage is input/output/cached");
}
