import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { ensureFolder } from "./atomic-file.ts";

it("makes a folder that several want at the same moment, for each of them", async () => {
  const root = await mkdtemp(join(tmpdir(), "openclaw-ha-folder-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (let round = 0; round < 100; round++) {
    const folder = join(root, String(round), "data", "logs");
    await Promise.all(Array.from({ length: 4 }, () => ensureFolder(folder)));
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  }
});

it("gives up where the system makes nothing, although the folder above is there", async () => {
  await expect(ensureFolder("/proc/openclaw-ha")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});
