import { describe, expect, it } from "vitest";
import {
  agentId,
  hasControlCharacter,
  RUN_ID_MAX_LENGTH,
  runId,
  SESSION_KEY_MAX_LENGTH,
  sessionKey,
  tenantId,
  workerId,
} from "./ids.ts";

const refusal = expect.objectContaining({ name: "HAError", code: "REQUEST_INVALID" });

describe.each([
  [
    "tenantId",
    tenantId,
    ["default", "team-1", "a", "0_x", "a".repeat(63)],
    ["A", "-a", "a".repeat(64), "a/b"],
  ],
  ["agentId", agentId, ["main", "work_2", "a".repeat(64)], ["Main", "_a", "a".repeat(65), "a:b"]],
  ["workerId", workerId, ["worker-1.0a1b2c3d", "W", "a".repeat(128)], [".a", "a".repeat(129), "a:b"]],
  [
    "runId",
    runId,
    ["x", "3fa8…", "a b", "🦞", "x".repeat(RUN_ID_MAX_LENGTH)],
    ["x".repeat(RUN_ID_MAX_LENGTH + 1)],
  ],
  [
    "sessionKey",
    sessionKey,
    ["agent:main:main", "x".repeat(SESSION_KEY_MAX_LENGTH)],
    ["x".repeat(SESSION_KEY_MAX_LENGTH + 1)],
  ],
] as const)("%s", (_name, parse, good, bad) => {
  it.each(good)("takes %j as it is", (value) => {
    expect(parse(value)).toBe(value);
  });

  it.each([...bad, "", "a\nb", "a\u0000", "\u007f"])("refuses %j", (value) => {
    expect(() => parse(value)).toThrow(refusal);
  });
});

describe("a refused id", () => {
  it("is named in the message, cut to what a log line can bear", () => {
    const value = `${"x".repeat(100)}\n`;
    expect(() => runId(value)).toThrow(`invalid run id (idempotency key): "${"x".repeat(80)}"`);
  });
});

describe("hasControlCharacter", () => {
  it("finds C0 controls and DEL, and nothing else", () => {
    for (const code of [0x00, 0x09, 0x0a, 0x0d, 0x1b, 0x1f, 0x7f]) {
      expect(hasControlCharacter(`a${String.fromCharCode(code)}b`)).toBe(true);
    }
    expect(hasControlCharacter("plain ~ ä 漢 🦞 \u0080\u00a0")).toBe(false);
    expect(hasControlCharacter("")).toBe(false);
  });
});
