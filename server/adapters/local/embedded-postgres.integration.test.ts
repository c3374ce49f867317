import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { guard } from "../../testing/keep.ts";
import { until } from "../../testing/until.ts";
import {
  endEmbeddedPostgres,
  findPostmaster,
  prepareEmbeddedPostgres,
  startEmbeddedPostgres,
} from "./embedded-postgres.ts";
import type { EmbeddedPostgresOptions } from "./embedded-postgres.ts";
import { freePort, isPortFree } from "./free-port.ts";
import type { LocalStore } from "./local-store.ts";
import { packagedFolder, postgresBinaries } from "./postgres-binaries.ts";
import { isRunning } from "./process-table.ts";
import { unprivilegedUser } from "./unprivileged-user.ts";

const isRoot = process.getuid?.() === 0;
const onLinux = process.platform === "linux";

/** Below a folder of mode 0700, as mkdtemp makes them: as root, the server's user cannot walk through it. */
async function privateFolder(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "openclaw-ha-pg-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  return join(home, "deep", "postgres");
}

async function start(options: EmbeddedPostgresOptions): Promise<LocalStore> {
  const store = await startEmbeddedPostgres(options);
  await guard(store.pid, store.identity);
  onTestFinished(() => store.stop());
  return store;
}

async function query<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

describe("embedded PostgreSQL", () => {
  it("runs below a folder of mode 0700, with checksums, a password, and nothing but loopback", async () => {
    const dir = await privateFolder();
    const store = await start({ dir, port: await freePort() });
    expect((await stat(dirname(dirname(dir)))).mode & 0o777).toBe(0o700);
    const [settings] = await query(
      store.url,
      `SELECT current_setting('data_checksums') AS checksums, current_setting('fsync') AS fsync,
              current_setting('synchronous_commit') AS sync, current_setting('listen_addresses') AS listen,
              current_setting('unix_socket_directories') AS sockets, current_setting('server_version_num')::int >= 180000 AS v18`,
    );
    expect(settings).toEqual({
      checksums: "on",
      fsync: "on",
      sync: "on",
      listen: "127.0.0.1",
      sockets: "",
      v18: true,
    });
    const wrong = new URL(store.url);
    wrong.password = "guess";
    await expect(query(wrong.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
    expect((await stat(join(dir, "password"))).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dir, "log"), "utf8")).not.toContain(new URL(store.url).password);
  });

  it.runIf(isRoot && onLinux)(
    "does not run as root, nor with its password in the process table",
    async () => {
      const store = await start({ dir: await privateFolder(), port: await freePort() });
      expect((await stat(`/proc/${store.pid}`)).uid).not.toBe(0);
      const seen = ["cmdline", "environ"]
        .map((file) => readFileSync(`/proc/${store.pid}/${file}`, "utf8"))
        .join("");
      expect(seen).not.toContain(new URL(store.url).password);
    },
  );

  it("comes back after SIGKILL on its port with everything that was committed", async () => {
    const options = { dir: await privateFolder(), port: await freePort() };
    const first = await start(options);
    await query(first.url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    process.kill(first.pid, "SIGKILL");
    await first.exited;
    const second = await start(options);
    expect(second.url).toBe(first.url);
    expect(second.pid).not.toBe(first.pid);
    expect(await query(second.url, "SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 1_000 }]);
  });

  it.runIf(onLinux)("starts again though a backend of the killed server is still busy", async () => {
    const options = { dir: await privateFolder(), port: await freePort() };
    const first = await start(options);
    const client = new Client({ connectionString: first.url });
    client.on("error", () => {});
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const busy = client.query("SELECT count(*) FROM generate_series(1, 10000000000)").catch(() => {});
    await until(async () => {
      const active = await query<{ state: string }>(
        first.url,
        "SELECT state FROM pg_stat_activity WHERE query ~ 'generate' AND pid <> pg_backend_pid()",
      );
      return active[0]?.state === "active";
    });
    process.kill(first.pid, "SIGKILL");
    await first.exited;
    expect(existsSync(`/proc/${rows[0]!.pid}`)).toBe(true);
    const second = await start(options);
    expect(await query(second.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await busy;
  });

  it.runIf(onLinux)("starts though the stale postmaster.pid names a process that lives", async () => {
    const options = { dir: await privateFolder(), port: await freePort(), durable: false };
    const other = await start({ dir: await privateFolder(), port: await freePort(), durable: false });
    const first = await start(options);
    process.kill(first.pid, "SIGKILL");
    await first.exited;
    const file = join(options.dir, "data", "postmaster.pid");
    const lines = readFileSync(file, "utf8").split("\n");
    await writeFile(file, [String(other.pid), ...lines.slice(1)].join("\n")); // a process of the same user
    expect(await findPostmaster(options.dir)).toBeNull();
    const second = await start(options);
    expect(await query(second.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(isRunning(other.pid, other.identity)).toBe(true);
  });

  it("is adopted, not started twice, when it runs already, and is ended by whoever finds it", async () => {
    const options = { dir: await privateFolder(), port: await freePort(), durable: false };
    const first = await start(options);
    const second = await start(options);
    expect([second.pid, second.url]).toEqual([first.pid, first.url]);
    expect(await endEmbeddedPostgres(options.dir)).toBe(true);
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(await endEmbeddedPostgres(options.dir)).toBe(false);
  });

  it("moves to another port when it is asked to", async () => {
    const dir = await privateFolder();
    const first = await start({ dir, port: await freePort(), durable: false });
    const second = await start({ dir, port: await freePort(), durable: false });
    expect(second.port).not.toBe(first.port);
    expect(isRunning(first.pid, first.identity)).toBe(false);
    expect(await query(second.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("is ended in an orderly way with clients connected, leaving no process, port or pid file", async () => {
    const options = { dir: await privateFolder(), port: await freePort() };
    const store = await start(options);
    const client = new Client({ connectionString: store.url });
    const cut = new Promise((resolve) => client.on("error", resolve)); // twice: the message, then the closed socket
    await client.connect();
    await store.stop();
    await store.stop();
    expect(await cut).toMatchObject({ code: "57P01" }); // admin_shutdown: told, not cut
    expect(await store.exited).toEqual({ code: 0, signal: null });
    expect(isRunning(store.pid, store.identity)).toBe(false);
    expect(await isPortFree(options.port)).toBe(true);
    expect(existsSync(join(options.dir, "data", "postmaster.pid"))).toBe(false);
    expect(readFileSync(join(options.dir, "log"), "utf8")).toContain("database system is shut down");
  });

  it("keeps its data when the password file was lost", async () => {
    const options = { dir: await privateFolder(), port: await freePort(), durable: false };
    const first = await start(options);
    await query(first.url, "CREATE TABLE kept ()");
    await first.stop();
    await rm(join(options.dir, "password"));
    const second = await start(options);
    expect(second.url).not.toBe(first.url);
    expect(await query(second.url, "SELECT * FROM kept")).toEqual([]);
  });
});

describe("embedded PostgreSQL says what is wrong", () => {
  it("with a port that is taken", async () => {
    const port = await freePort();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    await expect(start({ dir: await privateFolder(), port })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(`port ${port}`),
    });
  });

  it("with data of another major version, which it leaves alone", async () => {
    const dir = await privateFolder();
    await mkdir(join(dir, "data"), { recursive: true });
    await writeFile(join(dir, "data", "PG_VERSION"), "15\n");
    await expect(start({ dir, port: await freePort() })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      details: { found: "15", ours: "18" },
    });
    expect(await readdir(join(dir, "data"))).toEqual(["PG_VERSION"]);
  });

  it("with a folder that cannot be made", async () => {
    const home = await mkdtemp(join(tmpdir(), "openclaw-ha-pg-"));
    onTestFinished(() => rm(home, { recursive: true, force: true }));
    await writeFile(join(home, "file"), "");
    await expect(
      start({ dir: join(home, "file", "postgres"), port: await freePort() }),
    ).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it.runIf(isRoot && onLinux)(
    "with a full disk, before and after the cluster is made, losing nothing that was acknowledged",
    async () => {
      const home = await mkdtemp(join(tmpdir(), "openclaw-ha-pg-"));
      const disk = join(home, "disk");
      await mkdir(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
      onTestFinished(async () => {
        execFileSync("umount", [disk]);
        await rm(home, { recursive: true, force: true });
      });
      const options = { dir: join(disk, "postgres"), port: await freePort() };
      await expect(prepareEmbeddedPostgres(options)).rejects.toMatchObject({
        code: "STORE_UNAVAILABLE",
        message: expect.stringContaining("no space left"),
      });
      expect(await readdir(options.dir)).toEqual(["password"]);

      execFileSync("mount", ["-o", "remount,size=100m", disk]);
      const store = await startEmbeddedPostgres(options);
      await guard(store.pid, store.identity);
      await query(store.url, "CREATE TABLE filler (n int, text text)");
      let acknowledged = 0;
      const fill = async (): Promise<never> => {
        for (;;) {
          const row = `INSERT INTO filler SELECT ${acknowledged + 1}, string_agg(md5(g::text), '') FROM generate_series(1, 20000) g`;
          await query(store.url, row);
          acknowledged++;
        }
      };
      await expect(fill()).rejects.toBeDefined();
      expect(acknowledged).toBeGreaterThan(3);
      await store.stop();
      execFileSync("mount", ["-o", "remount,size=400m", disk]);
      const again = await startEmbeddedPostgres(options);
      await guard(again.pid, again.identity);
      const [counted] = await query<{ n: number }>(again.url, "SELECT max(n) AS n FROM filler");
      expect(counted!.n).toBeGreaterThanOrEqual(acknowledged);
      await again.stop();
    },
  );
});

describe("the server's programs", () => {
  it.runIf(isRoot)("are copied, once, to where the server's user can reach them", async () => {
    const home = await mkdtemp(join(tmpdir(), "openclaw-ha-bin-"));
    onTestFinished(() => rm(home, { recursive: true, force: true }));
    const hidden = join(home, "hidden");
    await mkdir(hidden, { mode: 0o700 });
    const packaged = join(hidden, "package", "native");
    cpSync(packagedFolder(), packaged, { recursive: true, verbatimSymlinks: true });
    cpSync(join(dirname(packagedFolder()), "package.json"), join(hidden, "package", "package.json"));
    await chmod(home, 0o755);
    const shared = join(home, "shared");
    const user = await unprivilegedUser(join(home, "none"));
    const found = await Promise.all([
      postgresBinaries(user, packaged, [shared]),
      postgresBinaries(user, packaged, [shared]),
    ]);
    expect(found[0].postgres.startsWith(shared)).toBe(true);
    expect(found[1]).toEqual(found[0]);
    expect(await readdir(shared)).toHaveLength(1);
    await chmod(shared, 0o777); // now anybody could have put programs there
    await expect(postgresBinaries(user, packaged, [shared])).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });
});
