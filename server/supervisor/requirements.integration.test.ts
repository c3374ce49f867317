import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DesiredTopology } from "./deployment.ts";
import { installMissing, missingError, missingPrograms } from "./requirements.ts";

const local = { redis: { mode: "local" } } as DesiredTopology;
const external = { redis: { mode: "external" } } as DesiredTopology;

/** A folder of programs that is all the machine has, and a way to put a shell script into it. */
async function machine() {
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-programs-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const add = (name: string, script: string): Promise<void> =>
    writeFile(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const told: string[] = [];
  const install = (): Promise<void> =>
    installMissing(
      missingPrograms(local, [folder]),
      [folder],
      { PATH: `${folder}:/usr/bin:/bin` },
      (text) => told.push(text),
      new AbortController().signal,
    );
  return { folder, add, install, told };
}

describe("programs that a deployment needs", () => {
  it("are redis-server or valkey-server, where Redis is ours", async () => {
    const { add, folder } = await machine();
    expect(missingPrograms(local, [folder])).toHaveLength(1);
    expect(missingPrograms(external, [folder])).toEqual([]);
    await add("valkey-server", "");
    expect(missingPrograms(local, [folder])).toEqual([]);
  });

  it("are named when missing, with where they were looked for and the one command", async () => {
    const { add, folder } = await machine();
    await add("apt-get", "");
    const [missing] = missingPrograms(local, [folder]);
    expect(missingError(missing!, [folder])).toMatchObject({
      code: "MISSING_DEPENDENCY",
      message: `redis-server or valkey-server is not installed; it holds the queue and live events (looked in ${folder})`,
      details: {
        hint: expect.stringMatching(
          /^run `openclaw-ha up --install`, or `apt-get install .*redis-server`/,
        ) as unknown,
      },
    });
  });

  it("are installed with the package manager of the system, telling what it says", async () => {
    const { add, folder, install, told } = await machine();
    await add(
      "apt-get",
      `echo "apt-get $1"; if [ "$1" = install ]; then touch ${folder}/redis-server; chmod +x ${folder}/redis-server; fi`,
    );
    await install();
    expect(missingPrograms(local, [folder])).toEqual([]);
    expect(told).toEqual([
      "running apt-get update",
      "  apt-get update",
      "running apt-get install -y --no-install-recommends redis-server",
      "  apt-get install",
    ]);
  });

  it("are still missing after a package manager that failed, or that installed something else", async () => {
    const { add, install } = await machine();
    await expect(install()).rejects.toMatchObject({ code: "MISSING_DEPENDENCY" });
    await add("dnf", "exit 1");
    await expect(install()).rejects.toMatchObject({
      code: "MISSING_DEPENDENCY",
      message: expect.stringContaining("failed (exit code 1)") as unknown,
    });
    await add("dnf", "exit 0");
    await expect(install()).rejects.toMatchObject({
      message: expect.stringContaining("still missing") as unknown,
    });
  });
});
