import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../testing/until.ts";
import { tryLock } from "./lock.ts";

const LOCK = fileURLToPath(new URL("./lock.ts", import.meta.url));

async function lockFile(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-lock-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, "supervisor.lock");
}

describe("the lock of a data directory", () => {
  it("is given to one process at a time", async () => {
    const file = await lockFile();
    const first = await tryLock(file);
    expect(first).not.toBeNull();
    expect(await tryLock(file)).toBeNull();
    first!.release();
    const second = await tryLock(file);
    expect(second).not.toBeNull();
    second!.release();
  });

  it("is free at once when its holder was killed", async () => {
    const file = await lockFile();
    const script = `const { tryLock } = await import(${JSON.stringify(LOCK)});
      console.log((await tryLock(${JSON.stringify(file)})) ? "held" : "refused"); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void holder.kill("SIGKILL"));
    const [said] = (await once(holder.stdout, "data")) as [Buffer];
    expect(said.toString().trim()).toBe("held");
    expect(await tryLock(file)).toBeNull();
    holder.kill("SIGKILL");
    await once(holder, "exit");
    const taken = await until(() => tryLock(file));
    taken.release();
  });

  it("says that the folder cannot be written", async () => {
    await expect(tryLock("/proc/nowhere/supervisor.lock")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("/proc/nowhere cannot be written") as unknown,
    });
  });
});
