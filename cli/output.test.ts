import { describe, expect, it } from "vitest";
import { HAError } from "../server/core/errors.ts";
import { createOutput, errorDocument, exitCodeOf } from "./output.ts";

function captured(options: { json?: boolean; isTTY?: boolean; env?: Record<string, string> } = {}) {
  const written = { stdout: "", stderr: "" };
  const output = createOutput({
    json: options.json ?? false,
    env: options.env ?? {},
    stdout: { isTTY: options.isTTY, write: (text) => ((written.stdout += text), true) },
    stderr: { write: (text) => ((written.stderr += text), true) },
  });
  return { output, written };
}

describe("output", () => {
  it("prints results as text, or as one JSON document", () => {
    const text = captured();
    text.output.result({ n: 1 }, ({ n }) => `n is ${n}`);
    expect(text.written).toEqual({ stdout: "n is 1\n", stderr: "" });
    const json = captured({ json: true });
    json.output.result({ n: 1 }, () => "unused");
    expect(json.written).toEqual({ stdout: '{"n":1}\n', stderr: "" });
  });

  it("keeps progress and warnings off stdout", () => {
    const { output, written } = captured({ json: true });
    output.progress("starting");
    output.warning("slow");
    output.text("streamed text");
    expect(written).toEqual({ stdout: "", stderr: "starting\nwarning: slow\n" });
  });

  it("prints events one JSON object a line", () => {
    const { output, written } = captured({ json: true });
    output.event({ a: "x\ny" });
    output.event({ a: 2 });
    expect(written.stdout).toBe('{"a":"x\\ny"}\n{"a":2}\n');
  });

  it("is rich on a terminal only, and not where NO_COLOR or --json says otherwise", () => {
    expect(captured({ isTTY: true }).output.rich).toBe(true);
    expect(captured().output.rich).toBe(false);
    expect(captured({ isTTY: true, json: true }).output.rich).toBe(false);
    expect(captured({ isTTY: true, env: { NO_COLOR: "1" } }).output.rich).toBe(false);
    expect(captured({ isTTY: true, env: { TERM: "dumb" } }).output.rich).toBe(false);
  });

  it("tells an error with its next step and all problems", () => {
    const error = new HAError("CONFIG_INVALID", "x.json has 2 errors", {
      problems: ["one", "two"],
      hint: "fix it",
    });
    const text = captured();
    text.output.failure(error);
    expect(text.written.stderr).toBe("error: x.json has 2 errors\n  one\n  two\nhint: fix it\n");
    const json = captured({ json: true });
    json.output.failure(error);
    expect(JSON.parse(json.written.stdout)).toEqual({
      error: {
        code: "CONFIG_INVALID",
        message: "x.json has 2 errors",
        hint: "fix it",
        details: { problems: ["one", "two"] },
      },
    });
  });

  it("tells the innermost cause, also of a connection refused on several addresses", () => {
    const refused = new AggregateError([], "");
    Object.assign(refused, { code: "ECONNREFUSED" });
    const error = new HAError("STORE_UNAVAILABLE", "no gateway answers", {}, { cause: refused });
    expect(errorDocument(error)).toEqual({
      error: { code: "STORE_UNAVAILABLE", message: "no gateway answers", details: { cause: "ECONNREFUSED" } },
    });
  });

  it("takes exit codes from the catalogue, and 70 for what is not ours", () => {
    expect(exitCodeOf(new HAError("CONFIG_INVALID", ""))).toBe(78);
    expect(exitCodeOf(new HAError("STORE_UNAVAILABLE", ""))).toBe(69);
    expect(exitCodeOf(new TypeError("x"))).toBe(70);
  });
});
