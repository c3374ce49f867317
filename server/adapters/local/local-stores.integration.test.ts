import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { guard } from "../../testing/keep.ts";
import { testPrograms } from "../../testing/services.ts";
import { until } from "../../testing/until.ts";
import { askTcp } from "./ask-tcp.ts";
import { findProgram, programFolders, requireProgram } from "./find-program.ts";
import { freePort, isPortFree } from "./free-port.ts";
import { endStore, findStore } from "./local-store.ts";
import type { LocalStore, LocalStoreOptions } from "./local-store.ts";
import { startNatsServer } from "./nats-server.ts";
import { endProcess, isRunning, processIdentity } from "./process-table.ts";
import { startRedisServer } from "./redis-server.ts";
import { startVersitygw } from "./versitygw.ts";

const onLinux = process.platform === "linux";
const programs = testPrograms();

/** With blanks and quotes in its name: users have such folders. */
async function emptyFolder(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "openclaw-ha-store-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  return join(home, 'it\'s a "store"');
}

type Start = (options: LocalStoreOptions) => Promise<LocalStore>;

const kinds: readonly (readonly [string, Start])[] = [
  ["Redis", (options) => startRedisServer({ ...options, programs })],
  ["NATS", (options) => startNatsServer({ ...options, programs })],
  ["versitygw", (options) => startVersitygw({ ...options, programs, buckets: ["bucket"] })],
];

async function run(start: Start, options: LocalStoreOptions): Promise<LocalStore> {
  const store = await start(options);
  await guard(store.pid, store.identity);
  onTestFinished(() => store.stop());
  return store;
}

const secretOf = (dir: string): string => readFileSync(join(dir, "password"), "utf8").trim();

describe.each(kinds)("local %s", (_name, start) => {
  it("comes back after SIGKILL at the same address with the same credentials", async () => {
    const options = { dir: await emptyFolder(), port: await freePort() };
    const first = await run(start, options);
    process.kill(first.pid, "SIGKILL");
    expect(await first.exited).toEqual({ code: null, signal: "SIGKILL" });
    const second = await run(start, options);
    expect([second.url, second.port]).toEqual([first.url, first.port]);
    expect(second.pid).not.toBe(first.pid);
  });

  it("leaves no process, port or note behind when it is stopped, however often", async () => {
    const options = { dir: await emptyFolder(), port: await freePort() };
    const store = await run(start, options);
    await Promise.all([store.stop(), store.stop()]);
    await store.stop();
    expect(isRunning(store.pid, store.identity)).toBe(false);
    expect(await isPortFree(options.port)).toBe(true);
    expect(await readdir(options.dir)).not.toContain("process.json");
  });

  it("is adopted by the next start, and found and ended by its folder alone", async () => {
    const options = { dir: await emptyFolder(), port: await freePort() };
    const first = await run(start, options);
    const second = await run(start, options);
    expect(second.pid).toBe(first.pid);
    expect(await findStore(options.dir)).toEqual({
      pid: first.pid,
      identity: first.identity,
      port: options.port,
    });
    expect(await endStore(options.dir)).toBe(true);
    expect(await endStore(options.dir)).toBe(false);
    await second.exited;
  });

  it.runIf(onLinux)("shows its secrets to nobody: not in arguments, log, or readable files", async () => {
    const options = { dir: await emptyFolder(), port: await freePort() };
    const store = await run(start, options);
    const secret = secretOf(options.dir);
    expect(readFileSync(`/proc/${store.pid}/cmdline`, "utf8")).not.toContain(secret);
    expect(readFileSync(join(options.dir, "log"), "utf8")).not.toContain(secret);
    expect((await stat(options.dir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(options.dir, "password"))).mode & 0o777).toBe(0o600);
  });

  it("says that its port is taken", async () => {
    const port = await freePort();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const refusal = { code: "CONFIG_INVALID", message: expect.stringContaining(`port ${port}`) };
    await expect(start({ dir: await emptyFolder(), port })).rejects.toMatchObject(refusal);
  });

  it("says that its folder cannot be made", async () => {
    const file = join(await emptyFolder(), "..", "file");
    await writeFile(file, "");
    await expect(start({ dir: join(file, "store"), port: await freePort() })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(file),
    });
  });
});

describe("a process in the background", () => {
  it("survives a supervisor that is killed right after the start, and is adopted by the next one", async () => {
    const options = { dir: await emptyFolder(), port: await freePort() };
    // The child starts the store, says so, and is killed before it could note or do anything more.
    const script = `
      import { startRedisServer } from ${JSON.stringify(fileURLToPath(new URL("redis-server.ts", import.meta.url)))};
      const store = await startRedisServer(${JSON.stringify({ ...options, programs })});
      console.log(store.pid);
      process.kill(process.pid, "SIGKILL");`;
    const supervisor = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const printed = await new Promise<string>((resolve) =>
      supervisor.stdout.once("data", (data: Buffer) => resolve(data.toString())),
    );
    await new Promise((resolve) => supervisor.once("close", resolve));
    const store = await run((base) => startRedisServer({ ...base, programs }), options);
    expect(store.pid).toBe(Number(printed));
    await store.stop();
    expect(await store.exited).toEqual({ code: null, signal: null });
  });

  it("ends with a parent that exits by itself, where it was asked to", async () => {
    const options = { dir: await emptyFolder(), port: await freePort(), outliveParent: false };
    const script = `
      import { startRedisServer } from ${JSON.stringify(fileURLToPath(new URL("redis-server.ts", import.meta.url)))};
      await startRedisServer(${JSON.stringify({ ...options, programs })});`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    await new Promise((resolve) => parent.once("close", resolve));
    await until(() => isPortFree(options.port));
    expect(await findStore(options.dir)).toBeNull();
  });

  it("that hangs is replaced", async () => {
    const options = { dir: await emptyFolder(), port: await freePort() };
    const first = await run((base) => startRedisServer({ ...base, programs }), options);
    process.kill(first.pid, "SIGSTOP");
    const second = await run((base) => startRedisServer({ ...base, programs }), options);
    expect(second.pid).not.toBe(first.pid);
    expect(isRunning(first.pid, first.identity)).toBe(false);
  });

  it("that ignores SIGTERM is killed", async () => {
    const child = spawn("/bin/sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const identity = processIdentity(child.pid!)!;
    expect(await endProcess(child.pid!, identity, [{ signal: "SIGTERM", waitMs: 100 }])).toBe("SIGKILL");
    expect(processIdentity(child.pid!)).toBeNull();
    expect(await endProcess(child.pid!, identity, [])).toBeNull();
  });

  it("with a pid that was given to another process since is never signalled", async () => {
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    await new Promise((resolve) => child.once("spawn", resolve));
    const identity = processIdentity(child.pid!)!;
    expect(await endProcess(child.pid!, `${identity}-earlier`, [])).toBeNull();
    expect(isRunning(child.pid!, identity)).toBe(true);
  });
});

describe("local Redis", () => {
  it("takes no command without the password, forgets on restart, and refuses rather than evicts", async () => {
    const options = { dir: await emptyFolder(), port: await freePort(), maxMemoryMb: 3 };
    const start: Start = (base) => startRedisServer({ ...base, programs, maxMemoryMb: 3 });
    const store = await run(start, options);
    expect(await askTcp(options.port, "PING\r\n", /\r\n/u)).toMatch(/^-NOAUTH/u);
    const login = `AUTH ${secretOf(options.dir)}\r\n`;
    const full = `${login}SETRANGE big 4000000 x\r\nSET another x\r\nEXISTS big\r\n`;
    expect(await askTcp(options.port, full, /:1\r\n$/u)).toContain("-OOM");
    await store.stop();
    const again = await run(start, options);
    expect(again.url).toBe(store.url);
    expect(await askTcp(options.port, `${login}DBSIZE\r\n`, /:\d/u)).toContain(":0");
  });
});

describe("programs", () => {
  it("that are missing are named, with where they were looked for and how to install them", async () => {
    const dir = await emptyFolder();
    await expect(startRedisServer({ dir, port: 1, programs: ["/nowhere"] })).rejects.toMatchObject({
      code: "MISSING_DEPENDENCY",
      message: expect.stringMatching(
        /redis-server or valkey-server.*\/nowhere.*apt-get install redis-server/u,
      ),
    });
    await expect(startNatsServer({ dir, port: 1, programs: [] })).rejects.toMatchObject({
      code: "MISSING_DEPENDENCY",
    });
    await expect(startVersitygw({ dir, port: 1, programs: [], buckets: [] })).rejects.toMatchObject({
      code: "MISSING_DEPENDENCY",
    });
  });

  it("are files that may be executed, the project's own first, never from a relative PATH entry", async () => {
    const root = await emptyFolder();
    const own = join(root, ".cache", "bin");
    await mkdir(join(own, "folder"), { recursive: true });
    await writeFile(join(own, "plain"), "", { mode: 0o644 });
    await writeFile(join(own, "tool"), "", { mode: 0o755 });
    const folders = programFolders(root, "/usr/bin:relative::/bin", "/home/u");
    expect(folders.slice(0, 4)).toEqual([own, "/usr/bin", "/bin", "/home/u/go/bin"]);
    expect(findProgram(["folder", "plain"], [own])).toBeNull();
    expect(requireProgram(["none", "tool"], folders, "")).toBe(join(own, "tool"));
  });
});
