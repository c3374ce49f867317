import { describe, expect, it } from "vitest";
import { parseDirective, parseDirectives, PLAIN } from "./directives.ts";

describe("demo directives", () => {
  it("leave a text without any as it is", () => {
    expect(parseDirectives("array[[0]] and [[demonstration")).toMatchObject({ directives: [] });
    expect(parseDirectives("hello")).toEqual({ directives: [], rest: "hello" });
  });

  it("are read from anywhere in a text, in order, and cut out of it", () => {
    const { directives, rest } = parseDirectives("say [[demo latency=200 chunks=20]] it [[demo delay=5]]");
    expect(rest).toBe("say  it");
    expect(directives).toEqual([
      { ...PLAIN, latency: 200, chunks: 20 },
      { ...PLAIN, delay: 5 },
    ]);
  });

  it("take quoted strings and JSON that hold blanks, quotes, braces and brackets", () => {
    const { directives, rest } = parseDirectives(
      '[[demo text="a ]] \\"b\\" }" tool=add{"a":[[1]],"b":{"c":"}"}} tool=stop]]x',
    );
    expect(rest).toBe("x");
    expect(directives[0]).toMatchObject({
      text: 'a ]] "b" }',
      tools: [
        { name: "add", args: { a: [[1]], b: { c: "}" } } },
        { name: "stop", args: {} },
      ],
    });
  });

  it("make subagents, whose tasks hold directives of their own", () => {
    const { directives } = parseDirectives(
      '[[demo tool=sessions_spawn{"task":"[[demo text=\\"1 2 3\\"]] count","label":"counting"}]] [[demo text="On it."]]',
    );
    const [spawn, then] = directives;
    expect(spawn?.tools).toEqual([
      { name: "sessions_spawn", args: { task: '[[demo text="1 2 3"]] count', label: "counting" } },
    ]);
    expect(then?.text).toBe("On it.");
  });

  it.each([
    ["error=503", { kind: "status", status: 503, code: null, message: null, retryAfterSeconds: null }],
    [
      'status=429 retry-after=2 code=slow message="not now"',
      { kind: "status", status: 429, code: "slow", message: "not now", retryAfterSeconds: 2 },
    ],
    ["disconnect=3", { kind: "disconnect", after: 3 }],
    ["truncate=1", { kind: "truncate", after: 1 }],
    ["stall", { kind: "stall", after: 0 }],
    ["hang", { kind: "hang" }],
  ])("describe the failure %s", (words, failure) => {
    expect(parseDirective(words).failure).toEqual(failure);
  });

  it.each([
    ["a word it does not know", "[[demo laziness=9]]", "laziness"],
    ["a number that is none", "[[demo chunks=many]]", "chunks"],
    ["a wait without an end", "[[demo latency=99999999]]", "latency"],
    ["a status that is no error", "[[demo error=200]]", "error"],
    ["arguments that are not JSON", "[[demo tool=add{a}]]", "add"],
    ["no closing brackets", "[[demo latency=1", "]]"],
  ])("refuse %s", (_what, text, named) => {
    expect(() => parseDirectives(text)).toThrow(named);
  });
});
