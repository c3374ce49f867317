import { describe, expect, it } from "vitest";
import { HAError } from "../../core/errors.ts";
import { loggerContract } from "../../ports/contract/logger.contract.ts";
import type { Logger } from "../../ports/logger.ts";
import { jsonLogger } from "./logger.ts";

function capture(level: "debug" | "info" = "info"): {
  log: Logger;
  lines: () => Record<string, unknown>[];
  text: () => string;
} {
  let text = "";
  const log = jsonLogger({
    level,
    fields: { instance: "gateway-1" },
    destination: { write: (line) => void (text += line) },
  });
  const lines = (): Record<string, unknown>[] =>
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, lines, text: () => text };
}

loggerContract("JSON lines", () => {
  let text = "";
  return {
    log: jsonLogger({ level: "debug", destination: { write: (line) => void (text += line) } }),
    lines: () =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => {
          const { level, event, time: _, ...fields } = JSON.parse(line) as Record<string, unknown>;
          return { level: String(level), event: String(event), fields };
        }),
  };
});

describe("jsonLogger", () => {
  it("writes a line of JSON with level, time, event and the fields of all its parents", () => {
    const { log, lines } = capture();
    log.child({ tenant: "acme" }).child({ run: "r-1" }).info("run.finished", { ms: 12 });
    expect(lines()).toEqual([
      {
        level: "info",
        time: expect.any(String),
        event: "run.finished",
        instance: "gateway-1",
        tenant: "acme",
        run: "r-1",
        ms: 12,
      },
    ]);
  });

  it("leaves out what is below its level", () => {
    const { log, lines } = capture();
    log.debug("noise");
    log.warn("queue.full");
    expect(lines().map(({ event }) => event)).toEqual(["queue.full"]);
  });

  it("replaces secrets by name, at any depth and in any spelling", () => {
    const { log, text, lines } = capture();
    const headers = { Authorization: "Bearer s3cret", "x-api-key": "s3cret", "set-cookie": ["s3cret"] };
    log.info("request", {
      headers,
      list: [{ auth: { password: "s3cret" }, refresh_token: "s3cret" }],
      clientSecret: "s3cret",
      token: "s3cret",
    });
    log.child({ apiKey: "s3cret" }).info("child");
    expect(text()).not.toContain("s3cret");
    expect(lines()[0]).toMatchObject({ clientSecret: "[redacted]" });
  });

  it("keeps the domain's own tokens, which are numbers and labels", () => {
    const { log, lines } = capture();
    log.info("grant", { fencingToken: "17", tokens: 12, tokenLabel: "ab12", inputTokens: 5 });
    expect(lines()[0]).toMatchObject({ fencingToken: "17", tokens: 12, tokenLabel: "ab12", inputTokens: 5 });
  });

  it("cuts credentials out of URLs in texts, messages and causes", () => {
    const { log, text } = capture();
    const cause = new Error("connect redis://:s3cret@10.0.0.1:6379 refused");
    const error = new HAError(
      "STORE_UNAVAILABLE",
      "postgres://u:s3cret@db/x",
      { url: "nats://u:s3cret@n" },
      { cause },
    );
    log.error("store.away", { error });
    expect(text()).not.toContain("s3cret");
    expect(text()).toContain("redis://[redacted]@10.0.0.1:6379");
  });

  it("shows an error's code, details and cause", () => {
    const { log, lines } = capture();
    const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    log.error("failed", { error: new HAError("TIMEOUT", "too late", { run: "r-1" }, { cause }) });
    expect(lines()[0]!["error"]).toMatchObject({
      code: "TIMEOUT",
      message: "too late",
      details: { run: "r-1" },
      cause: { name: "Error", code: "ECONNREFUSED", stack: expect.stringContaining("logger.test.ts") },
    });
  });

  it("survives whatever it is given", () => {
    const { log, lines } = capture();
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    log.info("odd", {
      circle,
      big: 1n,
      bytes: new Uint8Array(5),
      fn() {},
      text: "x".repeat(10_000),
      at: new Date(NaN),
    });
    expect(lines()).toHaveLength(1);
    expect(JSON.stringify(lines()[0]).length).toBeLessThan(5_000);
  });
});
