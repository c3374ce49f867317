import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { cleanEnvironment, runProgram } from "../../server/testing/deployment.ts";
import { guardFolder } from "../../server/testing/keep.ts";
import { processesUnder } from "../../server/testing/processes-under.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
/** npm unpacks some 300 packages: half a minute on a slow disk. */
const TIMEOUT_MS = 240_000;

/** A user who has never seen this project: a private home, a folder with a blank in its name, the system's own Node. */
async function stranger() {
  const home = await mkdtemp(join(tmpdir(), "openclaw-ha-stranger-"));
  await chmod(home, 0o700);
  await guardFolder(home);
  onTestFinished(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));
  const clean = cleanEnvironment(home);
  const systemPath = (clean["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .join(delimiter);
  const { env } = process;
  const passed = [
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
  ];
  return {
    home,
    env: {
      ...clean,
      PATH: systemPath,
      // Any free port, so that this may run beside another deployment; a user would leave it out.
      OPENCLAW_HA_PORT: "0",
      // Packages come from the cache of this machine, over its own way to the registry.
      npm_config_cache: env["npm_config_cache"] ?? join(homedir(), ".npm"),
      npm_config_prefer_offline: "true",
      npm_config_userconfig: env["npm_config_userconfig"] ?? join(homedir(), ".npmrc"),
      ...Object.fromEntries(passed.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
    },
  };
}

it("answers on a fresh clone after the two commands of the README, and leaves nothing after down --purge", async () => {
  const { env, home } = await stranger();
  const startedAt = performance.now();
  const seconds = (): string => ((performance.now() - startedAt) / 1_000).toFixed(1);
  const projects = join(home, "my projects");
  await mkdir(projects);
  const clone = join(projects, "openclaw-ha");
  execFileSync("git", ["clone", "--quiet", ROOT, clone]);
  const program = join(clone, "bin", "openclaw-ha");
  const run = (...args: string[]) => runProgram(args, { program, env, cwd: clone, timeoutMs: TIMEOUT_MS });

  const up = await run("up", "v2", "--install");
  expect({ exitCode: up.exitCode, stderr: up.stderr }).toMatchObject({ exitCode: 0 });
  const upAfter = seconds();
  const sent = await run("send", "hello");
  expect({ exitCode: sent.exitCode, stderr: sent.stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(sent.stdout).toContain("You said: hello");
  process.stdout.write(`first answer on a fresh clone after ${seconds()} s (up: ${upAfter} s)\n`);

  const dataDir = join(home, ".local", "state", "openclaw-ha", "default");
  expect(existsSync(dataDir)).toBe(true);
  expect((await run("down", "--purge", "--yes")).exitCode).toBe(0);
  expect(existsSync(dataDir)).toBe(false);
  expect(processesUnder(home)).toEqual([]);
  // Nothing that git would show, and nothing in the home but what was there and the clone's own caches.
  expect(execFileSync("git", ["status", "--porcelain"], { cwd: clone, encoding: "utf8" })).toBe("");
  const left = (await readdir(home)).filter((name) => ![".local", "my projects"].includes(name));
  expect(left).toEqual([]);
}, 600_000);
