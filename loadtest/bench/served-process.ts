import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../server/adapters/local/free-port.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const START_TIMEOUT_MS = 30_000;
/** Fine enough for what takes hundreds of milliseconds, coarse enough not to disturb it. */
const PROBE_EVERY_MS = 5;

/** One process of the product that the benchmark started by itself. */
export interface ServedProcess {
  readonly pid: number;
  readonly port: number;
  /** Milliseconds from the spawn to the first 200 of its probe. */
  readonly readyMs: number;
  /** As a service manager ends it; resolves when it is gone. */
  stop(): Promise<void>;
}

/**
 * Runs `openclaw-ha serve ROLE` with a port of its own.
 * @throws Error when it ends, or is not ready in time
 */
export async function serveProcess(
  role: "gateway" | "worker" | "demo-model",
  env: Readonly<Record<string, string>>,
): Promise<ServedProcess> {
  const port = await freePort();
  const spawnedAt = performance.now();
  // As the supervisor starts it, compiled code kept between starts.
  const flags = ["--disable-warning=ExperimentalWarning", path.join(ROOT, "cli/main.ts")];
  const child = spawn(process.execPath, [...flags, "serve", role], {
    detached: true,
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      PATH: process.env["PATH"],
      LANG: "C.UTF-8",
      NODE_COMPILE_CACHE: path.join(ROOT, ".cache/compile"),
      OPENCLAW_HA_LOG_LEVEL: "warn",
      OPENCLAW_HA_PORT: String(port),
      ...env,
    },
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const probe = `http://127.0.0.1:${port}${role === "demo-model" ? "/healthz" : "/readyz"}`;
  while (!(await answersOk(probe))) {
    if (child.exitCode !== null) throw new Error(`serve ${role} ended with code ${child.exitCode}`);
    if (performance.now() - spawnedAt > START_TIMEOUT_MS) {
      child.kill("SIGKILL");
      throw new Error(`serve ${role} was not ready after ${START_TIMEOUT_MS} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
  }
  return {
    pid: child.pid!,
    port,
    readyMs: performance.now() - spawnedAt,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

const answersOk = (url: string): Promise<boolean> =>
  fetch(url).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
