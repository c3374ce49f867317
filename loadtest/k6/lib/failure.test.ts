import { describe, expect, it } from "vitest";
import { HAError } from "../../../server/core/errors.ts";
import { drainingShape, errorShape, SOCKET_BUSY } from "../../../server/gateway/protocol/errors.ts";
import { failureOf, failureOfStatus } from "./failure.ts";

describe("whose doing a refusal is", () => {
  it.each([
    ["a socket with too many requests", SOCKET_BUSY, "overload", "busy"],
    ["a tenant over its backlog", errorShape(new HAError("OVERLOADED", "full")), "overload", "busy"],
    ["a gateway that drains", drainingShape("chat.send"), "overload", "gateway-restarting"],
    [
      "a store that is away",
      errorShape(new HAError("STORE_UNAVAILABLE", "x")),
      "unplanned",
      "store-unavailable",
    ],
    ["a bug", errorShape(new Error("oops")), "unplanned", "internal"],
    ["bad params", errorShape(new HAError("REQUEST_INVALID", "x")), "client", "INVALID_REQUEST"],
    [
      "a conflict",
      errorShape(new HAError("REQUEST_CONFLICT", "x", { reason: "chat-request-conflict" })),
      "client",
      "chat-request-conflict",
    ],
    ["a missing scope", errorShape(new HAError("FORBIDDEN", "x")), "client", "FORBIDDEN"],
    ["an answer without a code", {}, "unplanned", "no-code"],
  ] as const)("%s", (_what, error, kind, reason) => {
    expect(failureOf(error)).toEqual({ kind, reason });
  });

  it.each([
    [200, null],
    [503, { kind: "overload", reason: "http-503" }],
    [429, { kind: "overload", reason: "http-429" }],
    [404, { kind: "client", reason: "http-404" }],
    [500, { kind: "unplanned", reason: "http-500" }],
    [0, { kind: "unplanned", reason: "http-no-answer" }],
  ])("HTTP %i", (status, failure) => {
    expect(failureOfStatus(status)).toEqual(failure);
  });
});
