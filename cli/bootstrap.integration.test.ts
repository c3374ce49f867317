import { spawn } from "node:child_process";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../server/testing/until.ts";

const BIN = fileURLToPath(new URL("../bin", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What main.ts of the copied project prints. */
interface Started {
  readonly argv: string[];
  readonly exec: string;
  readonly cwd: string;
  readonly cache: string;
}

const LOCK = {
  packages: {
    "": {},
    "node_modules/one": { version: "1.0.0" },
    "node_modules/dev": { version: "1.0.0", dev: true },
  },
};

/**
 * A project in a folder with a space in its name, whose npm is a script that notes its calls and lays the
 * packages out, one of them a Node; and a PATH with that npm and a Node that says it is of the given version.
 */
async function setup(options: { readonly systemNode?: string; readonly npm?: string | null } = {}) {
  const base = await realpath(await mkdtemp(path.join(tmpdir(), "openclaw ha ")));
  onTestFinished(() => rm(base, { recursive: true, force: true }));
  const root = path.join(base, "check out");
  const programs = path.join(base, "programs");
  await mkdir(path.join(root, "cli"), { recursive: true });
  await mkdir(programs);
  await cp(BIN, path.join(root, "bin"), { recursive: true });
  await writeFile(path.join(root, "package.json"), "{}");
  await writeFile(path.join(root, "package-lock.json"), JSON.stringify(LOCK));
  await writeFile(
    path.join(root, "cli", "main.ts"),
    `const started: object = { argv: process.argv.slice(2), exec: process.execPath, cwd: process.cwd(), cache: process.env["NODE_COMPILE_CACHE"] };
console.log(JSON.stringify(started));
process.exit(Number(process.env["EXIT"] ?? 0));`,
  );
  const script = async (file: string, text: string): Promise<void> => {
    await writeFile(file, `#!/bin/sh\n${text}\n`);
    await chmod(file, 0o755);
  };
  const node = (version: string): string =>
    `[ "$1" = --version ] && { echo ${version}; exit; }\nexec "${process.execPath}" "$@"`;
  await script(path.join(programs, "node"), node(options.systemNode ?? "v20.20.2"));
  const layOut = `
mkdir -p node_modules/one node_modules/node/bin
echo '{}' > node_modules/one/package.json
ln -sf "${process.execPath}" node_modules/node/bin/node
echo '{"packages":{"node_modules/one":{"version":"1.0.0"}}}' > node_modules/.package-lock.json`;
  const calls = path.join(base, "npm-calls");
  if (options.npm !== null) {
    await script(
      path.join(programs, "npm"),
      `echo "$@" >> "${calls}"\necho noise of npm\nrm -rf node_modules\nmkdir node_modules\n${options.npm ?? layOut}`,
    );
  }
  /** \`flock\` is there on Linux; without it the script falls back to a folder, as on macOS. */
  const tools = [
    "sh",
    "cmp",
    "cp",
    "mv",
    "rm",
    "rmdir",
    "mkdir",
    "ln",
    "cat",
    "echo",
    "sleep",
    "readlink",
    "sed",
    "kill",
  ];
  for (const tool of tools) await symlink(await which(tool), path.join(programs, tool));
  const withFlock = async (): Promise<void> => symlink(await which("flock"), path.join(programs, "flock"));

  const run = (
    argv: readonly string[] = [],
    more: { readonly bin?: string; readonly cwd?: string; readonly env?: Record<string, string> } = {},
  ): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const child = spawn(more.bin ?? path.join(root, "bin", "openclaw-ha"), argv, {
        cwd: more.cwd ?? base,
        env: { PATH: programs, ...more.env },
      });
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (text) => (stdout += String(text)));
      child.stderr.on("data", (text) => (stderr += String(text)));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, stdout, stderr }));
    });
  const npmCalls = async (): Promise<string[]> =>
    (await readFile(calls, "utf8").catch(() => "")).split("\n").filter(Boolean);
  return { base, layOut, npmCalls, programs, root, run, script, withFlock };
}

async function which(tool: string): Promise<string> {
  for (const folder of ["/usr/bin", "/bin"]) {
    const file = path.join(folder, tool);
    if (
      await readFile(file).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  throw new Error(`this machine has no ${tool}`);
}

const started = ({ stdout }: Ended): Started => JSON.parse(stdout) as Started;

describe("bin/openclaw-ha", () => {
  it("installs the locked packages on first use, with nothing on stdout but the command's own, and never again", async () => {
    const { npmCalls, root, run } = await setup();
    const first = await run(["status", "--json", "two words"]);
    expect(first.code).toBe(0);
    expect(started(first).argv).toEqual(["status", "--json", "two words"]);
    expect(started(first).cache).toBe(path.join(root, ".cache", "compile"));
    expect(first.stderr).toMatch(/installing the locked npm packages[^]*noise of npm/);
    const second = await run();
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(await npmCalls()).toEqual(["install --no-save --no-audit --no-fund --loglevel=error --omit=dev"]);
  });

  it("runs on the Node among the packages where the system's is too old, and on the system's where it is not", async () => {
    const old = await setup({ systemNode: "v22.21.9" });
    await old.run();
    expect(await readFile(path.join(old.root, "node_modules", ".openclaw-ha.node"), "utf8")).toBe(
      `${old.root}/node_modules/node/bin/node\n`,
    );
    const recent = await setup({ systemNode: "v22.22.0" });
    await recent.run();
    expect(await readFile(path.join(recent.root, "node_modules", ".openclaw-ha.node"), "utf8")).toBe(
      `${recent.programs}/node\n`,
    );
  });

  it("works through symlinks, absolute and relative, from any folder, and hands the exit code on", async () => {
    const { base, root, run } = await setup();
    await symlink(path.join(root, "bin", "openclaw-ha"), path.join(base, "absolute"));
    await symlink("absolute", path.join(base, "relative"));
    const ended = await run(["x"], { bin: path.join(base, "relative"), cwd: "/", env: { EXIT: "75" } });
    expect(ended.code).toBe(75);
    expect(started(ended)).toMatchObject({ argv: ["x"], cwd: "/" });
  });

  it("installs again when the lock file has changed", async () => {
    const { npmCalls, root, run } = await setup();
    await run();
    const changed = { packages: { ...LOCK.packages, "node_modules/one": { version: "1.0.1" } } };
    await writeFile(path.join(root, "package-lock.json"), JSON.stringify(changed));
    await run();
    expect(await npmCalls()).toHaveLength(2);
  });

  it("keeps development packages that are there when it installs again", async () => {
    const { npmCalls, root, run } = await setup();
    await run();
    await mkdir(path.join(root, "node_modules", "typescript"));
    await writeFile(path.join(root, "package-lock.json"), JSON.stringify({ packages: {} }));
    await rm(path.join(root, "node_modules", ".package-lock.json"));
    await run();
    expect((await npmCalls())[1]).toMatch(/ --include=dev$/);
  });

  it("takes packages that somebody installed by hand from this lock file", async () => {
    const { layOut, npmCalls, root, run, script } = await setup();
    const byHand = path.join(root, "by-hand");
    await script(byHand, `cd "${root}"\n${layOut}`);
    await run([], { bin: byHand });
    expect(await run()).toMatchObject({ code: 0, stderr: "" });
    expect(await npmCalls()).toEqual([]);
  });

  it("does not take packages by hand of which one is missing", async () => {
    const { layOut, npmCalls, root, run, script } = await setup();
    const byHand = path.join(root, "by-hand");
    await script(byHand, `cd "${root}"\n${layOut}\nrm -r node_modules/one`);
    await run([], { bin: byHand });
    expect(await run()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toHaveLength(1);
  });

  it("does an interrupted install again", async () => {
    const { layOut, npmCalls, programs, root, run, script } = await setup({
      npm: "mkdir node_modules/one\nkill -9 $PPID",
    });
    expect(await run()).not.toMatchObject({ code: 0 });
    await script(
      path.join(programs, "npm"),
      `echo again >> "${path.join(path.dirname(root), "npm-calls")}"\n${layOut}`,
    );
    expect(await run()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toHaveLength(2);
  });

  it("says when installing fails, with exit code 69", async () => {
    const { run } = await setup({ npm: "echo no network >&2; exit 1" });
    const failed = await run(["up"]);
    expect(failed).toMatchObject({ code: 69, stdout: "" });
    expect(failed.stderr).toMatch(/no network\nerror: installing the npm packages failed\nhint: /);
    const json = await run(["up", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: "MISSING_DEPENDENCY" } });
  });

  it("says what to install where there is no npm, with exit code 69", async () => {
    const { programs, run } = await setup({ npm: null });
    await rm(path.join(programs, "node"));
    const failed = await run(["up", "--json"]);
    expect(failed.code).toBe(69);
    expect(JSON.parse(failed.stdout)).toEqual({
      error: {
        code: "MISSING_DEPENDENCY",
        message: "npm is not installed: it is needed once, to install the locked packages",
        hint: expect.stringContaining("Node.js 22.22 or later"),
      },
    });
    expect((await run(["send", "--", "--json"])).stdout).toBe("");
  });

  it.each([true, false])("installs once when it is first used twice at once (flock: %s)", async (flock) => {
    const { layOut, npmCalls, programs, root, run, script, withFlock } = await setup();
    if (flock) await withFlock();
    const calls = path.join(path.dirname(root), "npm-calls");
    // The second one must come while the first installs: npm itself starts it, and does not wait for it.
    const second = path.join(path.dirname(root), "second");
    // Where the lock fails, the second one would start a third, and so on: it stops at once instead.
    const slow = `echo "$@" >> "${calls}"\n[ -e "${second}" ] && exit 1\n"${root}/bin/openclaw-ha" second > "${second}" 2> "${second}.err" 9>&- &\n`;
    const untilItWaits = `until grep -q waiting "${second}.err"; do sleep 0.05 || exit 1; done\n`;
    await symlink(await which("grep"), path.join(programs, "grep"));
    await script(path.join(programs, "npm"), `${slow}${untilItWaits}${layOut}`);
    expect(started(await run(["first"]))).toMatchObject({ argv: ["first"] });
    const text = await until(async () => (await readFile(second, "utf8")) || null, {
      what: "the second command",
    });
    expect(JSON.parse(text)).toMatchObject({ argv: ["second"] });
    expect(await npmCalls()).toHaveLength(1);
  });

  it("takes over the install lock of a process that is gone", async () => {
    const { root, run } = await setup();
    const lock = path.join(root, ".cache", "install.lock.d");
    await mkdir(lock, { recursive: true });
    await writeFile(path.join(lock, "pid"), "2147483646\n");
    expect(await run()).toMatchObject({ code: 0 });
  });

  it("chooses a Node again when the one it had is gone or was replaced", async () => {
    const { programs, root, run } = await setup({ systemNode: "v24.0.0" });
    await run();
    await writeFile(path.join(programs, "node"), "#!/bin/sh\necho v18.0.0\n");
    const later = new Date(Date.now() + 60_000);
    await utimes(path.join(programs, "node"), later, later);
    expect(await run()).toMatchObject({ code: 0 });
    expect(await readFile(path.join(root, "node_modules", ".openclaw-ha.node"), "utf8")).toContain(
      "node_modules/node",
    );
  });
});
