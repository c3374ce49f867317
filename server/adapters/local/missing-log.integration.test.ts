import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startProcess } from "./child-process.ts";

it("a process whose log was taken away has said nothing, and its end is still told", async () => {
  const folder = await mkdtemp(join(tmpdir(), "openclaw-ha-log-"));
  const started = await startProcess({
    name: "sleeper",
    command: "/bin/sh",
    args: ["-c", "echo hello; exec sleep 60"],
    env: {},
    logFile: join(folder, "log"),
    outliveParent: false,
  });
  await rm(folder, { recursive: true });
  process.kill(started.pid, "SIGKILL");
  expect(await started.exited).toMatchObject({ signal: "SIGKILL" });
  expect(started.output()).toBe("");
});
