import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../../server/testing/until.ts";
import { canLimit, limitCpu, limitMemory } from "./cgroup.ts";

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

async function run(script: string): Promise<{ readonly child: ChildProcess; readonly pid: number }> {
  const child = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
  children.push(child);
  await once(child, "spawn");
  return { child, pid: child.pid ?? 0 };
}

const groups = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, "utf8");

describe.skipIf(!canLimit())("a process under a limit", () => {
  it("is made to wait for the CPU, which the kernel counts, and is put back", async () => {
    const { pid } = await run("for (;;);");
    const before = groups(pid);
    const limited = limitCpu(pid, 0.05);
    await until(() => limited.met() > 2);
    expect(groups(pid)).not.toBe(before);
    limited.lift();
    expect(groups(pid)).toBe(before);
    expect(limited.met()).toBeGreaterThan(2);
  });

  it("is killed when it takes more memory than it may", async () => {
    const { child, pid } = await run(
      "const all = []; setInterval(() => all.push(Buffer.alloc(2 ** 20, 1)), 20)",
    );
    const limited = limitMemory(pid, 8 * 2 ** 20);
    const [, signal] = (await once(child, "exit")) as [number, string];
    expect(signal).toBe("SIGKILL");
    expect(limited.met()).toBeGreaterThan(0);
    limited.lift();
  });
});
