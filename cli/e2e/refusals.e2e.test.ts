import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { newDeployment } from "../../server/supervisor/deployment.ts";
import { PROGRAM, startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { DEFAULT_TOPOLOGY } from "../desired-topology.ts";

/** A deployment that is never brought up: everything here is refused before anything starts. */
let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment({ up: false });
  return () => deployment.close();
});

const UP = ["up", "v2", "--port", "0"];

/** Runs a command that must fail, and checks that it says the same as text and as JSON. */
async function refused(args: readonly string[], exitCode: number, env: Record<string, string> = {}) {
  const text = await deployment.cli(args, { env });
  const json = await deployment.cli([...args, "--json"], { env });
  expect({ args, exitCodes: [text.exitCode, json.exitCode], stdout: text.stdout }).toEqual({
    args,
    exitCodes: [exitCode, exitCode],
    stdout: "",
  });
  const { error } = json.json() as {
    error: { code: string; message: string; hint?: string; details?: { problems?: string[] } };
  };
  expect(text.stderr).toContain(`error: ${error.message}`);
  expect(text.stderr).toContain(error.hint === undefined ? "" : `hint: ${error.hint}`);
  expect(text.stderr).not.toMatch(/^\s+at /m);
  expect(deployment.processes()).toEqual([]);
  return { ...error, text: text.stderr };
}

describe("exit code 2: usage", () => {
  it.each([
    ["an unknown command", ["nonsense"], /nonsense/],
    ["an unknown option", ["status", "--nonsense"], /--nonsense/],
    ["a command without its subcommand", ["runs"], /list/],
    ["an argument too many", ["status", "everything"], /status|argument/],
    ["an unknown topology", ["up", "v9"], /v9/],
    ["a port that is none", ["up", "--port", "70000"], /--port/],
    ["a name that cannot be a folder", ["--name", "../up", "status"], /--name/],
    ["a limit that is none", ["runs", "list", "--limit", "-1"], /--limit/],
  ])("%s", async (_, args, message) => {
    const { code, hint, message: told } = await refused(args, 2);
    expect(code).toBe("REQUEST_INVALID");
    expect(`${told} ${hint ?? ""}`).toMatch(message);
  });

  it("another topology than the deployment's: the commands that move the state are named", async () => {
    const dir = join(deployment.folder, "moved");
    await mkdir(dir);
    const state = { ...newDeployment("default", "an-id"), desired: DEFAULT_TOPOLOGY };
    await writeFile(join(dir, "deployment.json"), JSON.stringify(state));
    const { hint, message } = await refused(["--data-dir", dir, "up", "v0"], 2);
    expect(message).toBe("this deployment is v2 and does not become v0 in place");
    expect(hint).toContain(`--data-dir ${dir} migrate export --to DIR`);
    expect(await readdir(dir)).toEqual(["deployment.json"]);
  });
});

describe("exit code 69: something that is needed is not there", () => {
  it.each([
    ["Redis", "--redis-url", "redis://127.0.0.1:1"],
    ["PostgreSQL", "--postgres-url", "postgres://somebody:s3cret@127.0.0.1:1/none"],
  ])("%s that does not answer: up says which, where, and not its password", async (store, flag, url) => {
    const args = [...UP, flag, url];
    const failed = await deployment.cli([...args, "--json"]);
    expect(failed.exitCode).toBe(69);
    expect(failed.json()).toMatchObject({
      error: {
        code: "STORE_UNAVAILABLE",
        message: expect.stringMatching(new RegExp(`${store}.*127\\.0\\.0\\.1:1`)) as unknown,
        hint: expect.stringContaining(flag) as unknown,
      },
    });
    expect(failed.stdout + failed.stderr).not.toContain("s3cret");
    expect((await deployment.cli(["down"])).exitCode).toBe(0);
    expect(deployment.processes()).toEqual([]);
  });

  it.skipIf(!canHideFiles())("a machine without redis-server: says what it is for and how to get it", () => {
    // A mount that only this one process sees; PATH alone hides nothing, because usual folders are looked at too.
    const hidden = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"]
      .flatMap((folder) => ["redis-server", "valkey-server"].map((name) => join(folder, name)))
      .map((file) => `if [ -e ${file} ]; then mount --bind /dev/null ${file}; fi`)
      .join("\n");
    const script = `${hidden}\n"$0" --data-dir "$1" up v2 --port 0 --json; echo "exit $?"`;
    const stdout = execFileSync("unshare", ["-m", "sh", "-c", script, PROGRAM, deployment.dataDir], {
      env: { PATH: process.env["PATH"], HOME: deployment.folder },
      encoding: "utf8",
    });
    const [document = "", exit] = stdout.trim().split("\n");
    expect(exit).toBe("exit 69");
    expect(JSON.parse(document)).toMatchObject({
      error: {
        code: "MISSING_DEPENDENCY",
        message: expect.stringMatching(/redis-server.*looked in .*\/usr\/bin/) as unknown,
        hint: expect.stringContaining("--install") as unknown,
      },
    });
  });

  it.each([["send", "hello"], ["runs", "list"], ["sessions", "list"], ["env"]])(
    "%s where no deployment was ever started",
    async (...args) => {
      const { code, hint } = await refused(args, 69);
      expect(code).toBe("NOT_RUNNING");
      expect(hint).toContain("openclaw-ha up");
    },
  );
});

describe("exit code 78: configuration", () => {
  it("an openclaw.json with errors: all at once, each with its line and key", async () => {
    const file = join(deployment.folder, "openclaw.json");
    await writeFile(
      file,
      `{
  agents: {
    defaults: { model: "nowhere/none", maxConcurrent: "four" },
    list: [{ id: "main" }, { id: "two words" }],
  },
  gateway: { auth: { mode: "token", token: "\${TOKEN_THAT_IS_NOT_SET}" } },
}`,
    );
    const { code, details, text } = await refused([...UP, "--openclaw-config", file], 78);
    expect(code).toBe("CONFIG_INVALID");
    const problems = details?.problems ?? [];
    expect(problems.toSorted()).toEqual([
      expect.stringMatching(/openclaw\.json:3:17: agents\.defaults\.model: /),
      expect.stringMatching(/openclaw\.json:3:40: agents\.defaults\.maxConcurrent: /),
      expect.stringMatching(/openclaw\.json:4:28: agents\.list\.1: /),
      expect.stringMatching(/openclaw\.json:6:37: gateway\.auth\.token: /),
    ]);
    for (const problem of problems) expect(text).toContain(problem);
  });

  it("an openclaw.json that is not there, or no JSON5", async () => {
    const missing = join(deployment.folder, "missing.json");
    expect((await refused([...UP, "--openclaw-config", missing], 78)).text).toContain(missing);
    const broken = join(deployment.folder, "broken.json");
    await writeFile(broken, '{\n  "a": 1\n  "b": 2\n}');
    expect((await refused([...UP, "--openclaw-config", broken], 78)).text).toContain(`${broken}:3:`);
  });

  it("an openclaw-ha.yaml with errors", async () => {
    const file = join(deployment.folder, "wrong.yaml");
    await writeFile(file, "gateways: many\nunknown-key: 1\n");
    const { text } = await refused(["--config", file, ...UP], 78);
    expect(text).toContain("gateways");
    expect(text).toContain("unknown-key");
  });

  it("environment variables that are no numbers", async () => {
    const { text } = await refused(["up", "v2"], 78, { OPENCLAW_HA_PORT: "any", OPENCLAW_HA_WORKERS: "few" });
    expect(text).toContain("OPENCLAW_HA_PORT");
    expect(text).toContain("OPENCLAW_HA_WORKERS");
  });

  it("a data directory that cannot be written", async () => {
    const file = join(deployment.folder, "a-file");
    await writeFile(file, "");
    const inFile = join(file, "data");
    const { text } = await refused(["--data-dir", inFile, ...UP], 78);
    expect(text).toContain(inFile);
  });

  it.each([
    ["of a newer release", "deployment.json", '{ "version": 4711 }', "was written by a newer release", UP],
    ["with newer secrets", "secrets.json", '{ "version": 4711 }', "was written by a newer release", UP],
    [
      "whose state was written half",
      "deployment.json",
      '{ "version": 1, "nam',
      "is damaged",
      [...UP, "--plan"],
    ],
  ])("a data directory %s, which stays as it is", async (name, file, content, message, command) => {
    const dir = join(deployment.folder, name.replaceAll(" ", "-"));
    await mkdir(dir);
    await writeFile(join(dir, file), content);
    const { hint, text } = await refused(["--data-dir", dir, ...command], 78);
    expect(text).toContain(`${join(dir, file)} ${message}`);
    expect(hint).toContain("another --name");
    expect(await readdir(dir)).toEqual([file]);
    expect(await readFile(join(dir, file), "utf8")).toBe(content);
  });
});

/** Whether this user may have mounts of his own: root may, except in some containers. */
function canHideFiles(): boolean {
  try {
    execFileSync("unshare", ["-m", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
