import { describe, expect, it } from "vitest";
import { classify, scrub } from "./failure.ts";

describe("classify", () => {
  const rows: readonly [number | null, string, string, string, boolean, boolean][] = [
    // status, code, text, kind, retryable, unhealthy
    [401, "", "401: bad key", "model_auth", false, false],
    [403, "", "403: no access", "model_auth", false, false],
    [402, "", "402: pay first", "model_quota", false, false],
    [429, "insufficient_quota", "429: no credit", "model_quota", false, false],
    [429, "rate_limit_exceeded", "429: slow down", "model_unavailable", true, false],
    [408, "", "408: timeout", "model_unavailable", true, false],
    [500, "", "500: oops", "model_unavailable", true, true],
    [529, "overloaded_error", "529: overloaded", "model_unavailable", true, true],
    [null, "ECONNRESET", "terminated", "model_unavailable", true, true],
    [null, "", "fetch failed", "model_unavailable", true, true],
    [400, "", "400: unknown parameter", "model_rejected", false, false],
    [404, "model_not_found", "404: no such model", "model_rejected", false, false],
    [400, "context_length_exceeded", "400: too much", "context_overflow", false, false],
    [400, "", "400: prompt is too long: 210000 tokens > 200000 maximum", "context_overflow", false, false],
    [413, "", "413: Request too large", "context_overflow", false, false],
    [400, "", "400: This model's maximum context length is 8192 tokens", "context_overflow", false, false],
    [500, "", "500: context window service is down", "model_unavailable", true, true],
  ];

  it.each(rows)("%s %s (%s) is %s", (status, code, text, kind, retryable, unhealthy) => {
    expect(classify(status, code, text)).toMatchObject({ kind, retryable, unhealthy });
  });

  it("reads how long the provider wants us to wait", () => {
    expect(classify(429, "", "429: later; Retry-After: 2.5 seconds").retryAfterMs).toBe(2_500);
    expect(classify(429, "", "429: later").retryAfterMs).toBeNull();
  });
});

describe("scrub", () => {
  it("takes every secret out of a text, wherever it stands", () => {
    const text = "401: key sk-abc123 is unknown (authorization: Bearer sk-abc123, x-team: t0psecret)";
    expect(scrub(text, ["sk-abc123", null, "t0psecret"])).not.toMatch(/sk-abc123|t0psecret/);
  });

  it("keeps the text short, and no piece of a secret at its end", () => {
    expect(scrub("x".repeat(10_000), [])).toHaveLength(300);
    const { message } = classify(401, "", `${"x".repeat(295)} sk-abc123`);
    expect(scrub(message, ["sk-abc123"])).not.toContain("sk-");
  });

  it("leaves words alone that are too short to be secrets", () => {
    expect(scrub("none of these", ["none"])).toBe("none of these");
  });
});
