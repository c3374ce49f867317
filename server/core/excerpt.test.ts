import { describe, expect, it } from "vitest";
import { excerptsOf, previewOf } from "./excerpt.ts";

describe("excerpts of messages", () => {
  it("count characters, not halves of surrogate pairs, and cut none in two", () => {
    expect(previewOf("😀".repeat(250))).toBe("😀".repeat(200));
    expect(previewOf(`${"a".repeat(199)}😀b`)).toBe(`${"a".repeat(199)}😀`);
    expect(previewOf("a".repeat(250))).toBe("a".repeat(200));
  });

  it("hold nothing that a text column cannot", () => {
    expect(previewOf("a\u0000b\ud800c")).toBe("a\ufffdb\ufffdc");
    expect(previewOf("a\u0000b")).toBe("a\ufffdb");
  });

  it("make a title of the user's text alone", () => {
    const text = "x".repeat(300);
    expect(excerptsOf({ role: "user", content: text, timestamp: 1 })).toEqual({
      preview: "x".repeat(200),
      title: "x".repeat(120),
    });
    const answer = { role: "assistant" as const, content: [{ type: "text" as const, text }], timestamp: 1 };
    expect(excerptsOf(answer)).toEqual({ preview: "x".repeat(200), title: null });
  });
});
