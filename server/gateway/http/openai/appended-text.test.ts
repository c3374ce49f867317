import { describe, expect, it } from "vitest";
import { AppendedText } from "./appended-text.ts";

describe("a text that can only be appended to", () => {
  it("is told piece by piece", () => {
    const text = new AppendedText();
    expect(["a", "a", "ab", "abc"].map((now) => text.next(now))).toEqual(["a", "", "b", "c"]);
    expect(text.all).toBe("abc");
  });

  it("holds back what takes something back, until it goes on from there", () => {
    const text = new AppendedText();
    text.next("ab");
    expect(["", "x", "a"].map((now) => text.next(now))).toEqual(["", "", ""]);
    expect([text.continues("xy"), text.continues("abc")]).toEqual([false, true]);
    expect(text.next("abc")).toBe("c");
  });

  it("begins a paragraph for every message that says something", () => {
    const text = new AppendedText();
    const told = ["", "one", "", "two"].map((message) => {
      const pieces = [text.next(""), text.next(message)];
      text.messageDone(message);
      return pieces.join("");
    });
    expect(told).toEqual(["", "one", "", "\n\ntwo"]);
    expect(text.continues("three")).toBe(true);
    expect(text.next("three")).toBe("\n\nthree");
    expect(text.all).toBe("one\n\ntwo\n\nthree");
  });

  it("does not take another attempt's text for the next message", () => {
    const text = new AppendedText();
    text.next("one text");
    text.next("another");
    text.messageDone("another");
    expect(text.next("another text")).toBe("");
    expect(text.continues("another text")).toBe(false);
  });
});
