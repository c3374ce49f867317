import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../../server/testing/until.ts";
import { runCli } from "../testing/run-cli.ts";

const at = (second: number, event: string): string =>
  `${JSON.stringify({ time: `2026-11-22T12:00:${String(second).padStart(2, "0")}.000Z`, event })}\n`;

/** A data directory that has logs and nothing else. */
async function logged(files: Readonly<Record<string, string>>) {
  const dataDir = await mkdtemp(path.join(tmpdir(), "openclaw-ha-logs-"));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  await mkdir(path.join(dataDir, "logs"));
  const file = (id: string): string => path.join(dataDir, "logs", `${id}.log`);
  for (const [id, text] of Object.entries(files)) await writeFile(file(id), text);
  /** What happened, of a text as people read it: time, instance, event. */
  const events = (stdout: string): string[] =>
    stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => line.trim().split(/ +/).at(2) ?? line);
  return { dataDir, file, events };
}

describe("openclaw-ha logs", () => {
  it("prints one pool, one instance or all, merged by time", async () => {
    const { dataDir, events } = await logged({
      "gateway-1": at(1, "a") + at(4, "d"),
      "gateway-2": at(3, "c"),
      "worker-1": at(2, "b"),
    });
    const logs = async (...args: string[]): Promise<string[]> =>
      events((await runCli(["--data-dir", dataDir, "logs", ...args])).stdout);
    expect(await logs()).toEqual(["a", "b", "c", "d"]);
    expect(await logs("gateway")).toEqual(["a", "c", "d"]);
    expect(await logs("gateway-2")).toEqual(["c"]);
    expect(await logs("--lines", "2")).toEqual(["c", "d"]);
  });

  it("names the logs that there are when asked for another", async () => {
    const { dataDir } = await logged({ "gateway-1": at(1, "a") });
    const run = await runCli(["--data-dir", dataDir, "logs", "gatway"]);
    expect(run).toMatchObject({ exitCode: 1, stdout: "" });
    expect(run.stderr).toContain("there are: gateway-1");
  });

  it("follows what is added, also over a rotation and in files that appear later", async () => {
    const { dataDir, events, file } = await logged({ "gateway-1": at(1, "a") });
    const ending = new AbortController();
    let stdout = "";
    const following = runCli(["--data-dir", dataDir, "logs", "--follow"], {
      signal: ending.signal,
      onStdout: (chunk) => (stdout += chunk),
    });
    const seen = (...wanted: string[]): Promise<unknown> =>
      until(() => JSON.stringify(events(stdout)) === JSON.stringify(wanted));
    await seen("a");
    await appendFile(file("gateway-1"), at(2, "b").slice(0, 10));
    await appendFile(file("gateway-1"), at(2, "b").slice(10));
    await seen("a", "b");
    await rename(file("gateway-1"), `${file("gateway-1")}.1`);
    await writeFile(file("gateway-1"), at(3, "c"));
    await seen("a", "b", "c");
    await writeFile(file("worker-1"), at(4, "d"));
    await seen("a", "b", "c", "d");
    ending.abort();
    expect((await following).exitCode).toBe(0);
  });

  it("prints the log before the last rotation only when everything is asked for", async () => {
    const { dataDir, events, file } = await logged({ "gateway-1": at(2, "new") });
    await writeFile(`${file("gateway-1")}.1`, at(1, "old"));
    const logs = async (...args: string[]): Promise<string[]> =>
      events((await runCli(["--data-dir", dataDir, "logs", ...args])).stdout);
    expect(await logs()).toEqual(["new"]);
    expect(await logs("--lines", "all")).toEqual(["old", "new"]);
  });

  it("finds what is said of a tenant, a session or a run, how bad and since when", async () => {
    const line = (second: number, event: string, fields: Readonly<Record<string, string>>): string =>
      at(second, event).replace("}", `,${JSON.stringify(fields).slice(1)}`);
    const { dataDir } = await logged({
      "worker-1":
        line(1, "a", { level: "info", tenant: "acme", session: "agent:main:notes", run: "r-1" }) +
        line(2, "b", { level: "error", tenant: "acme", runId: "r-2" }) +
        "Error: no\n    at work\n" +
        line(3, "c", { level: "warn", tenant: "other" }),
      postgres: "2026-11-22 12:00:04.000 UTC [1] FATAL:  d\n2026-11-22 12:00:05.000 UTC [1] LOG:  e\n",
    });
    const found = async (...args: string[]): Promise<string[]> =>
      (await runCli(["--json", "--data-dir", dataDir, "logs", ...args]))
        .lines()
        .map(
          (one) => (one as { event?: string; line: string }).event ?? (one as { line: string }).line.trim(),
        );
    expect(await found("--tenant", "acme")).toEqual(["a", "b", "Error: no", "at work"]);
    expect(await found("--session", "notes")).toEqual(["a"]);
    expect(await found("--run", "r-2")).toEqual(["b", "Error: no", "at work"]);
    expect(await found("--level", "warn", "worker")).toEqual(["b", "Error: no", "at work", "c"]);
    expect(await found("--level", "error", "postgres")).toEqual([expect.stringContaining("FATAL:  d")]);
    expect(await found("--since", "2026-11-22T12:00:03Z")).toHaveLength(3);
    expect((await runCli(["--data-dir", dataDir, "logs", "--since", "1m"])).stdout).toBe("");
    expect((await runCli(["--data-dir", dataDir, "logs", "--level", "loud"])).exitCode).toBe(2);
  });

  it("reads back as far as wanted lines are, over a large log", async () => {
    const many = Array.from({ length: 40_000 }, (_, n) => at(n % 60, `chatter${n}`)).join("");
    const { dataDir, events } = await logged({
      "worker-1": at(0, "sought").replace("}", ',"run":"r"}') + many,
    });
    const run = await runCli(["--data-dir", dataDir, "logs", "--run", "r"]);
    expect(events(run.stdout)).toEqual(["sought"]);
  });
});
