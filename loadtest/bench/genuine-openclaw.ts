import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { freePort } from "../../server/adapters/local/free-port.ts";
import { until } from "../../server/testing/until.ts";
import { type Client, connectClient } from "./client.ts";
import { progress } from "./report.ts";

export const OPENCLAW_VERSION = "2026.9.6";
const PACKAGES = fileURLToPath(new URL("../../.cache/openclaw", import.meta.url));
const PROGRAM = path.join(PACKAGES, "node_modules/openclaw/openclaw.mjs");
/** It needs Node 24.16 or newer, which the benchmark may not have been started with. */
const NODE = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));
/** A cold start takes 7 to 17 s on a machine of two cores. */
const READY_TIMEOUT_MS = 120_000;

/** One gateway of the genuine OpenClaw, in a state directory of its own. */
export interface GenuineGateway {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** OpenClaw's own configuration: a local gateway, and one provider that speaks OpenAI's chat completions. */
export const openclawConfig = (
  modelUrl: string,
  port: number,
  token: string,
  workspace: string,
): unknown => ({
  gateway: { mode: "local", port, bind: "loopback", auth: { mode: "token", token } },
  models: {
    providers: {
      bench: {
        baseUrl: modelUrl,
        apiKey: "unused",
        api: "openai-completions",
        models: [
          {
            id: "demo",
            name: "Demo model",
            reasoning: false,
            input: ["text"],
            cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
            contextWindow: 200_000,
            maxTokens: 8_192,
          },
        ],
      },
    },
  },
  agents: { defaults: { model: { primary: "bench/demo" }, workspace, heartbeat: { every: "0m" } } },
  update: { checkOnStart: false },
  discovery: { mdns: { mode: "off" } },
});

/**
 * Starts the published `openclaw` as its users do, without channels, and waits until it lets clients in.
 * @throws Error when it cannot be installed or does not start
 */
export async function startGenuineGateway(modelUrl: string, token: string): Promise<GenuineGateway> {
  await install();
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-genuine-"));
  const state = path.join(folder, "state");
  const workspace = path.join(folder, "workspace");
  const configFile = path.join(folder, "openclaw.json");
  const port = await freePort();
  await Promise.all([mkdir(state), mkdir(workspace)]);
  await writeFile(configFile, JSON.stringify(openclawConfig(modelUrl, port, token, workspace)), {
    mode: 0o600,
  });
  const child = spawn(NODE, [PROGRAM, "gateway", "run"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      LANG: "C.UTF-8",
      OPENCLAW_STATE_DIR: state,
      OPENCLAW_CONFIG_PATH: configFile,
      OPENCLAW_SKIP_CHANNELS: "1",
      OPENCLAW_DISABLE_BONJOUR: "1",
    },
  });
  const said = lastLines(child);
  const url = `ws://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    const ended = child.exitCode ?? new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    const client = await until<Client>(
      () => {
        if (child.exitCode !== null) throw new Error("it has ended");
        return connectClient({ url, token });
      },
      { timeoutMs: READY_TIMEOUT_MS, pollMs: 250, what: "a connection to the genuine gateway" },
    );
    client.close();
    return { url, token, pid: child.pid!, stop };
  } catch (error) {
    await stop();
    throw new Error(`the genuine gateway did not start:\n${said()}`, { cause: error });
  }
}

/** Into the checkout's cache, once; the folder appears whole or not at all, so two installers do not meet. */
async function install(): Promise<void> {
  if (existsSync(PROGRAM)) return;
  progress(`installing openclaw@${OPENCLAW_VERSION} into ${PACKAGES}`);
  await mkdir(path.dirname(PACKAGES), { recursive: true });
  const staging = await mkdtemp(`${PACKAGES}-`);
  await execa("npm", [
    "install",
    "--prefix",
    staging,
    "--no-audit",
    "--no-fund",
    `openclaw@${OPENCLAW_VERSION}`,
  ]);
  if (existsSync(PROGRAM)) await rm(staging, { recursive: true });
  else {
    const { rename } = await import("node:fs/promises");
    await rename(staging, PACKAGES);
  }
}

/** The end of what a process has said, for the error when it does not start. */
function lastLines(child: ChildProcess): () => string {
  let text = "";
  const keep = (chunk: Buffer): void => void (text = (text + chunk.toString()).slice(-4_000));
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return () => text;
}
