import { describe, expect, it } from "vitest";
import { agentId, SESSION_KEY_MAX_LENGTH, sessionKey } from "./ids.ts";
import { agentOfSessionKey, canonicalSessionKey } from "./session-key.ts";

const main = agentId("main");

describe("canonicalSessionKey", () => {
  it.each([
    ["main", "agent:main:main"],
    ["global", "agent:main:main"],
    ["MAIN", "agent:main:main"],
    ["foo", "agent:main:foo"],
    [" Foo Bar ", "agent:main:foo bar"],
    ["agent:work:foo", "agent:work:foo"],
    ["AGENT:Main:Foo", "agent:main:foo"],
    ["agent:main:discord:channel:1", "agent:main:discord:channel:1"],
    ["telegram:42", "agent:main:telegram:42"],
    ["agents", "agent:main:agents"],
  ])("folds %j to %s", (sent, key) => {
    expect(canonicalSessionKey(sent, main)).toBe(key);
  });

  it("leaves a canonical key as it is", () => {
    for (const sent of ["main", "foo", "AGENT:Work:x:y"]) {
      const key = canonicalSessionKey(sent, main);
      expect(canonicalSessionKey(key, main)).toBe(key);
      expect(canonicalSessionKey(key, agentId("other"))).toBe(key);
    }
  });

  it("takes agent and name of the main session from the configuration", () => {
    const work = agentId("work");
    expect(canonicalSessionKey("global", work, "home")).toBe("agent:work:home");
    expect(canonicalSessionKey("home", work, "home")).toBe("agent:work:home");
    expect(canonicalSessionKey("main", work, "home")).toBe("agent:work:main");
  });

  it.each(["", "   ", "agent:", "agent:main", "agent::foo", "agent:main:", "a\nb", "a\u0000b"])(
    "refuses %j",
    (sent) => {
      expect(() => canonicalSessionKey(sent, main)).toThrow(
        expect.objectContaining({ name: "HAError", code: "REQUEST_INVALID" }),
      );
    },
  );

  it("refuses a key that is too long once it is canonical", () => {
    const prefix = "agent:main:".length;
    const longest = "x".repeat(SESSION_KEY_MAX_LENGTH - prefix);
    expect(canonicalSessionKey(longest, main)).toHaveLength(SESSION_KEY_MAX_LENGTH);
    expect(() => canonicalSessionKey(`${longest}x`, main)).toThrow(/invalid session key/);
  });
});

describe("agentOfSessionKey", () => {
  it("reads the agent of a canonical key", () => {
    expect(agentOfSessionKey(sessionKey("agent:work:discord:1"))).toBe("work");
  });
});
