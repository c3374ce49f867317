import JSON5 from "json5";
import { describe, expect, it } from "vitest";
import { json5Positions, type KeyPath, pathKey } from "./json5-positions.ts";

/** `line:column` of a key. */
function at(text: string, ...path: KeyPath): string | undefined {
  JSON5.parse(text); // what the scanner may rely on
  const position = json5Positions(text).get(pathKey(path));
  return position && `${position.line}:${position.column}`;
}

describe("json5Positions", () => {
  it("finds members at their key and elements at their value", () => {
    const text = '{\n  "a": { b: [1, { c: 2 }] },\n  d: 3,\n}';
    expect(at(text, "a")).toBe("2:3");
    expect(at(text, "a", "b")).toBe("2:10");
    expect(at(text, "a", "b", 0)).toBe("2:14");
    expect(at(text, "a", "b", 1, "c")).toBe("2:19");
    expect(at(text, "d")).toBe("3:3");
  });

  it("is not misled by comments, quotes and escapes", () => {
    const text = `// { x: 1 }
{ /* "y": */ 'it\\'s': "a \\" } // no comment", // "z": 1
  "\\u0061": 'b } \\\\',
  url: "http://h/p", e: 1 }`;
    expect(at(text, "it's")).toBe("2:14");
    expect(at(text, "a")).toBe("3:3");
    expect(at(text, "url")).toBe("4:3");
    expect(at(text, "e")).toBe("4:22");
    expect(at(text, "x")).toBeUndefined();
    expect(at(text, "z")).toBeUndefined();
  });

  it("keeps keys with dots apart from paths", () => {
    const text = '{ "a.b": 1, a: { b: 2 } }';
    expect(at(text, "a.b")).toBe("1:3");
    expect(at(text, "a", "b")).toBe("1:18");
  });

  it("takes numbers, literals and empty containers in its stride", () => {
    const text = "[+1.5e-3, .5, 0xAF, -Infinity, NaN, null, true, {}, [], 'x']";
    expect(at(text, 9)).toBe("1:57");
  });

  it("counts lines of Windows files as editors do", () => {
    expect(at("{\r\n  a: 1,\r\n  b: 2\r\n}", "b")).toBe("3:3");
  });
});
