import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const LOGGER = JSON.stringify(fileURLToPath(new URL("logger.ts", import.meta.url)));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that logs to its stdout as `log` and speaks on stderr. */
async function run(body: string, stdout: "pipe" | number, read = true): Promise<Ended> {
  const script = `import { jsonLogger } from ${LOGGER}; const log = jsonLogger({ level: "info" });
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)); ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", stdout, "pipe"],
  });
  const seen = { stdout: "", stderr: "" };
  if (read) child.stdout?.on("data", (data: Buffer) => (seen.stdout += data.toString()));
  else child.stdout?.destroy();
  child.stderr?.on("data", (data: Buffer) => (seen.stderr += data.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, ...seen };
}

const events = (text: string): string[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { event: string }).event);

it("writes every line, in order, also those before process.exit", async () => {
  const ended = await run("for (let i = 0; i < 2000; i++) log.info(`line-${i}`); process.exit(0);", "pipe");
  expect(events(ended.stdout)).toEqual(Array.from({ length: 2_000 }, (_, index) => `line-${index}`));
});

it.runIf(process.platform === "linux")(
  "lets the process live and end where the log's disk is full",
  async () => {
    const full = openSync("/dev/full", "w");
    const ended = await run(
      'log.info("a"); await wait(50); log.info("b"); process.stderr.write("alive"); process.exit(3);',
      full,
    );
    closeSync(full);
    expect(ended).toEqual({ code: 3, stdout: "", stderr: "alive" });
  },
);

it("lets the process live and end where the log's reader is gone", async () => {
  const body =
    'for (let i = 0; i < 5; i++) { log.info("a"); await wait(20); } process.stderr.write("alive"); process.exit(3);';
  expect(await run(body, "pipe", false)).toEqual({ code: 3, stdout: "", stderr: "alive" });
});

it("never blocks on a reader that is slower, and says afterwards how many lines it dropped", async () => {
  const body = `
    const text = "x".repeat(3000);
    for (let i = 0; i < 5000; i++) log.info("line", { text });
    process.stderr.write("went on");
    await wait(300);
    log.info("last");
    await wait(100);`;
  const ended = await run(body, "pipe");
  const seen = events(ended.stdout);
  expect(ended.stderr).toBe("went on");
  expect(seen).toContain("log.dropped");
  expect(seen.at(-1)).toBe("last");
  expect(seen.length).toBeLessThan(5_000);
});
