import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** `serve control` as the supervisor starts it; killed at the latest when the test ends. */
export function startControlProcess(instance: string, postgresUrl: string): ChildProcess {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", PROGRAM, "serve", "control"],
    {
      env: {
        PATH: process.env["PATH"],
        HOME: tmpdir(),
        OPENCLAW_HA_POSTGRES_URL: postgresUrl,
        OPENCLAW_HA_OBJECTS_DIR: tmpdir(),
        OPENCLAW_HA_DEMO_MODEL_URL: "http://127.0.0.1:1/v1",
        OPENCLAW_HA_INSTANCE: instance,
      },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  return child;
}
