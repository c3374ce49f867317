import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { directoryObjectStore } from "./object-store.ts";

const canMount = process.platform === "linux" && process.getuid?.() === 0;

it.runIf(canMount)(
  "refuses what does not fit on the disk, shows nothing of it, and goes on when there is room",
  async () => {
    const home = await mkdtemp(join(tmpdir(), "openclaw-ha-objects-"));
    const disk = join(home, "disk");
    await mkdir(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
    onTestFinished(async () => {
      execFileSync("umount", [disk]);
      await rm(home, { recursive: true, force: true });
    });
    const store = directoryObjectStore({ dir: disk });
    const kept = randomBytes(300_000);
    await store.put("kept", kept);
    const large = randomBytes(2_000_000);
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let at = 0; at < large.length; at += 100_000) yield large.subarray(at, at + 100_000);
    }
    for (const body of [large, chunks()]) {
      await expect(store.put("large", body)).rejects.toMatchObject({
        code: "STORE_UNAVAILABLE",
        message: expect.stringContaining("no space left"),
      });
    }
    expect(await store.get("large")).toBeNull();
    expect(await readdir(join(disk, ".tmp"))).toEqual([]);
    expect(Buffer.compare((await store.get("kept"))!, kept)).toBe(0);
    execFileSync("mount", ["-o", "remount,size=10m", disk]);
    expect(await store.put("large", chunks())).toEqual({ key: "large", bytes: large.length });
  },
);
