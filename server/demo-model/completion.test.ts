import { describe, expect, it } from "vitest";
import { complete, cutText, streamEvents } from "./completion.ts";
import { PLAIN } from "./directives.ts";
import { type ChatRequest, currentTurn } from "./request.ts";

const request = (...messages: ChatRequest["messages"]): ChatRequest => ({
  model: "demo",
  stream: true,
  includeUsage: true,
  messages,
  sessionHint: null,
});
const user = { role: "user", text: "hello 👋" };

describe("the demo model's answer", () => {
  it("holds the user's whole text, and says that it is a demo", () => {
    const { text } = complete(request(user), PLAIN, "canary 4711");
    expect(text).toContain("canary 4711");
    expect(text).toContain("demo model");
  });

  it("holds what the tools answered", () => {
    const after = request(user, { role: "assistant", text: "" }, { role: "tool", text: "42" });
    expect(complete(after, PLAIN, "x").text).toContain("42");
  });

  it("recalls what was said before only when it is told to", () => {
    const again = request({ role: "user", text: "canary 4711" }, { role: "assistant", text: "" }, user);
    expect(complete(again, PLAIN, "x").text).not.toContain("4711");
    expect(complete(again, { ...PLAIN, recall: true }, "x").text).toContain("you said: canary 4711\n");
    expect(complete(request(user), { ...PLAIN, recall: true }, "x").text).not.toContain("Before");
  });

  it("is the same for the same request, tool call ids included", () => {
    const directive = { ...PLAIN, tools: [{ name: "add", args: {} }] };
    const answer = () => complete(request(user), directive, "x");
    expect(answer()).toEqual(answer());
    const later = complete(request(user, { role: "assistant", text: "" }, user), directive, "x");
    expect(later.toolCalls[0]?.id).not.toBe(answer().toolCalls[0]?.id);
  });

  it("refuses to be so long that it would fill memory", () => {
    expect(() => complete(request(user), { ...PLAIN, repeat: 1_000_000 }, "x".repeat(1_000))).toThrow(
      "characters",
    );
  });

  it("streams JSON events that add up to it", () => {
    const answer = complete(request(user), { ...PLAIN, repeat: 3, text: 'quote " and \n' }, "x");
    let text = "";
    for (const event of streamEvents(request(user), answer, 5).join("").split("\n\n").slice(0, -2)) {
      const { choices } = JSON.parse(event.replace("data: ", "")) as {
        choices: { delta: { content?: string } }[];
      };
      text += choices[0]?.delta.content ?? "";
    }
    expect(text).toBe(answer.text);
  });
});

describe("cutText", () => {
  it.each([1, 2, 3, 7, 100])("cuts into at most %i pieces that add up, and no character in two", (count) => {
    const text = "a👋b👋👋cdé👋";
    const pieces = cutText(text, count);
    expect(pieces.join("")).toBe(text);
    expect(pieces.length).toBeLessThanOrEqual(count);
    expect(pieces.every((piece) => piece.isWellFormed() && piece !== "")).toBe(true);
  });

  it("cuts nothing out of nothing", () => {
    expect(cutText("", 5)).toEqual([]);
  });
});

describe("currentTurn", () => {
  it("counts the model calls since the newest user message", () => {
    const assistant = { role: "assistant", text: "" };
    const tool = { role: "tool", text: "r" };
    expect(currentTurn([user, assistant, user])).toMatchObject({ callsAnswered: 0 });
    expect(currentTurn([user, assistant, tool, tool, assistant, tool])).toEqual({
      userText: user.text,
      callsAnswered: 2,
      toolResults: ["r", "r", "r"],
    });
    expect(currentTurn([])).toMatchObject({ userText: "", callsAnswered: 0 });
  });
});
