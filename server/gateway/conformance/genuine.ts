import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProcess, untilReady } from "../../adapters/local/child-process.ts";
import { freePort } from "../../adapters/local/free-port.ts";
import { cleanEnvironment } from "../../testing/deployment.ts";
import { endAllUnder } from "../../testing/processes-under.ts";
import type { RunningTarget } from "./script.ts";

/** Installed by bin/test: npm's openclaw as it is. */
const OPENCLAW = fileURLToPath(new URL("../../../.cache/openclaw/node_modules/openclaw/", import.meta.url));
const NODE = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));
/** It takes 15 s to start on a machine of two cores that has something else to do. */
const START_MS = 150_000;
/** Of this suite's own making; only this machine's loopback ever sees it. */
const TOKEN = "conformance-token";

/** What a gateway of a machine of its own does beside its work, switched off: nothing of it is compared. */
const QUIET = {
  discovery: { mdns: { mode: "off" } },
  update: { checkOnStart: false },
  browser: { enabled: false },
  plugins: { enabled: false },
  memory: { search: { enabled: false } },
};

/**
 * Starts the genuine gateway in that folder, configured by `config` (openclaw.json) and what it needs to be reached.
 * @throws Error where openclaw is not installed; HAError, with the end of its log, where it does not become ready
 */
export async function startGenuine(
  folder: string,
  config: Readonly<Record<string, unknown>>,
): Promise<RunningTarget> {
  if (!existsSync(OPENCLAW)) throw new Error("openclaw is not installed: run `bin/test e2e` once");
  const { version } = JSON.parse(await readFile(join(OPENCLAW, "package.json"), "utf8")) as {
    version: string;
  };
  const port = await freePort();
  const state = join(folder, "state");
  await mkdir(state, { recursive: true, mode: 0o700 });
  const file = join(folder, "openclaw.json");
  const gateway = {
    mode: "local",
    port,
    bind: "loopback",
    auth: { mode: "token", token: TOKEN },
    controlUi: { enabled: false },
    ...(config["gateway"] as Record<string, unknown> | undefined),
  };
  const logging = { level: "info", file: join(folder, "gateway.log") };
  await writeFile(file, JSON.stringify({ ...QUIET, logging, ...config, gateway }), { mode: 0o600 });
  const started = await startProcess({
    name: "the genuine gateway",
    command: NODE,
    args: [join(OPENCLAW, "openclaw.mjs"), "gateway", "run"],
    env: { ...cleanEnvironment(folder), OPENCLAW_CONFIG_PATH: file, OPENCLAW_STATE_DIR: state },
    cwd: folder,
    logFile: join(folder, "output.log"),
    outliveParent: false,
  });
  const ready = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  await untilReady("the genuine gateway", started, ready, START_MS);
  return {
    name: "genuine",
    urls: [`ws://127.0.0.1:${port}`],
    token: TOKEN,
    versions: [version],
    async close() {
      await started.end([]); // nothing of it is kept, so it need not drain
      await endAllUnder(folder);
    },
  };
}
