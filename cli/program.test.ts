import { describe, expect, it } from "vitest";
import { runCli } from "./testing/run-cli.ts";

describe("openclaw-ha", () => {
  it("prints help on stdout and exits 0 when it is asked nothing", async () => {
    const run = await runCli([]);
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
    expect(run.stdout).toMatch(/^Usage: openclaw-ha/);
  });

  it("lists every command of the deployment in its help", async () => {
    const { stdout } = await runCli(["--help"]);
    for (const command of [
      "up",
      "down",
      "status",
      "env",
      "send",
      "runs",
      "sessions",
      "logs",
      "doctor",
      "serve",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
    }
  });

  it("prints help as a document with --json", async () => {
    const run = await runCli(["send", "--help", "--json"]);
    expect(run.exitCode).toBe(0);
    expect(run.json()).toEqual({ text: expect.stringContaining("--idempotency-key") });
  });

  it("names the nearest command for one that it does not know, with exit code 2", async () => {
    const run = await runCli(["stauts"]);
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(run.stderr).toBe(
      "error: unknown command 'stauts' (Did you mean status?)\nhint: see openclaw-ha --help\n",
    );
  });

  it.each([
    [
      "an unknown option",
      ["send", "--sesion", "x", "hi"],
      /unknown option '--sesion'.*Did you mean --session/,
    ],
    ["a missing argument", ["send"], /missing required argument 'message'/],
    ["a missing subcommand", ["runs"], /runs needs a subcommand: list, show, cancel, redrive/],
    ["a bad number", ["runs", "list", "--limit", "few"], /Expected a whole number/],
    ["a bad choice", ["serve", "everything"], /Allowed choices are gateway, worker, control, all/],
    ["a bad name", ["env", "--name", "../x"], /not a usable name/],
  ])("exits 2 for %s, as one JSON error with --json", async (_, argv, message) => {
    const text = await runCli(argv);
    expect(text).toMatchObject({ exitCode: 2, stdout: "" });
    expect(text.stderr).toMatch(message);
    const json = await runCli([...argv, "--json"]);
    expect(json).toMatchObject({ exitCode: 2, stderr: "" });
    expect(json.json()).toMatchObject({
      error: { code: "REQUEST_INVALID", message: expect.stringMatching(message) },
    });
  });

  it("takes its global options before and after the command", async () => {
    const before = await runCli(["--json", "--data-dir", "/nonexistent/a", "env"]);
    const after = await runCli(["env", "--data-dir", "/nonexistent/a", "--json"]);
    expect(before).toMatchObject({ exitCode: 69, stdout: after.stdout });
    expect(after.json()).toMatchObject({
      error: { code: "NOT_RUNNING", details: { dataDir: "/nonexistent/a" } },
    });
  });

  it("ends with 130 and no error when a signal ended the command", async () => {
    const controller = new AbortController();
    controller.abort(new DOMException("ended by SIGINT", "AbortError"));
    const run = await runCli(["send", "hi"], {
      signal: controller.signal,
      env: { OPENCLAW_HA_GATEWAY_URL: "ws://127.0.0.1:1", OPENCLAW_HA_GATEWAY_TOKEN: "fake" },
    });
    expect(run).toMatchObject({ exitCode: 130, stdout: "", stderr: "" });
  });
});
