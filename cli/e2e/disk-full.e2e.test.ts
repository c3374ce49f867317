import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it, onTestFinished } from "vitest";
import { startDeployment } from "../../server/testing/deployment.ts";
import type { Frame } from "../../server/testing/frame-log.ts";
import { connectSocket } from "../../server/testing/socket-client.ts";

/** Room for a small cluster and little more. */
const DISK_MB = 280;
/** Large enough to need new pages of the table at once. */
const MESSAGE_CHARACTERS = 20_000;

const mayMount = process.platform === "linux" && process.getuid?.() === 0;

/** Takes every byte that is left; answers the error that ended it. */
async function fill(file: string): Promise<unknown> {
  const handle = await open(file, "w");
  const chunk = Buffer.alloc(64 * 1024);
  try {
    for (;;) await handle.write(chunk);
  } catch (error) {
    return error;
  } finally {
    await handle.close();
  }
}

it.skipIf(!mayMount)(
  "on a full disk sends are refused as retryable; nothing of them is kept, and all goes on when there is room",
  async ({ skip }) => {
    const deployment = await startDeployment({ up: false });
    const disk = join(deployment.folder, "disk");
    await mkdir(disk);
    const mounted = await execa("mount", ["-t", "tmpfs", "-o", `size=${DISK_MB}m`, "tmpfs", disk], {
      reject: false,
    });
    if (mounted.failed) {
      await deployment.close();
      skip("this machine does not let its root mount a small disk");
    }
    const cli = (...args: string[]) =>
      deployment.cli(args, { noDataDir: true, env: { OPENCLAW_HA_DATA_DIR: join(disk, "data") } });
    onTestFinished(async () => {
      await cli("down", "--purge", "--yes");
      await execa("umount", ["-l", disk]);
      await deployment.close();
    });
    expect(await cli("up", "v2", "--port", "0", "--gateways", "1", "--workers", "1")).toMatchObject({
      exitCode: 0,
    });
    const env = (await cli("env", "--json")).json() as Record<string, string>;
    const client = await connectSocket(env["OPENCLAW_GATEWAY_URL"] ?? "", {
      token: env["OPENCLAW_GATEWAY_TOKEN"],
    });
    const send = (key: string) =>
      client.request("chat.send", {
        sessionKey: `session-${key}`,
        message: `${key} ${"x".repeat(MESSAGE_CHARACTERS)}`,
        idempotencyKey: key,
      });
    expect(await send("before")).toMatchObject({ ok: true });
    expect(await client.end("before", 60_000)).toMatchObject({ state: "final" });

    const filler = join(disk, "filler");
    expect(await fill(filler)).toMatchObject({ code: "ENOSPC" });
    // What PostgreSQL has reserved already may still take one or two.
    const answers = new Map<string, Frame>();
    const refused = () => [...answers].filter(([, answer]) => answer.ok !== true);
    for (let n = 1; refused().length < 3; n++) answers.set(`during-${n}`, await send(`during-${n}`));
    for (const [, { error }] of refused())
      expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    await rm(filler);

    for (const [key] of refused()) {
      expect(await send(key)).toMatchObject({ ok: true, payload: { status: "started" } });
    }
    const keys = [...answers.keys()];
    for (const key of keys)
      expect(await client.end(key, 60_000)).toMatchObject({ runId: key, state: "final" });
    const runs = (await cli("runs", "list", "--json")).json() as { runId: string; status: string }[];
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => "succeeded"));
    expect(new Set(runs.map(({ runId }) => runId))).toEqual(new Set(["before", ...keys]));
    client.terminate();
  },
);
