import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadDeploymentFile } from "../../server/deployment-config/load.ts";
import { runCli } from "../testing/run-cli.ts";

async function folder() {
  const cwd = await mkdtemp(path.join(tmpdir(), "openclaw-ha-init-"));
  onTestFinished(() => rm(cwd, { recursive: true }));
  const file = path.join(cwd, "openclaw-ha.yaml");
  return { cwd, file, init: (...args: string[]) => runCli(["init", ...args], { cwd }) };
}

describe("openclaw-ha init", () => {
  it.each([
    [[], "ha", "v2"],
    [["v0"], "solo", "v0"],
    [["v1"], "team", "v1"],
    [["v2"], "ha", "v2"],
    [["--preset", "solo"], "solo", "v0"],
    [["v2", "--preset", "ha-external"], "ha-external", "v2"],
  ])("writes a commented file that can be read: %j", async (args, preset, topology) => {
    const { file, init } = await folder();
    const run = await init(...args, "--json");
    expect(run.json()).toEqual({ file, preset, topology, replaced: false });
    expect(run.exitCode).toBe(0);
    const env = { DB_PASSWORD: "a", REDIS_PASSWORD: "b" };
    expect(loadDeploymentFile(file, env)).toMatchObject({ topology });
    const text = await readFile(file, "utf8");
    const schema = /^# yaml-language-server: \$schema=(\/.+)$/m.exec(text)?.[1];
    expect(JSON.parse(await readFile(schema!, "utf8"))).toMatchObject({ additionalProperties: false });
    expect(run.stderr).toBe(
      topology === "v2" ? "" : `warning: topology ${topology} is not part of this release yet; v2 is\n`,
    );
  });

  it("leaves a file that is there as it is, unless it is told to replace it", async () => {
    const { cwd, file, init } = await folder();
    await writeFile(file, "mine");
    const refused = await init();
    expect(refused).toMatchObject({ exitCode: 2, stdout: "" });
    expect(refused.stderr).toContain("--force");
    expect(await readFile(file, "utf8")).toBe("mine");
    expect((await init("--force", "--json")).json()).toMatchObject({ replaced: true });
    expect(await readFile(file, "utf8")).toContain("topology: v2");
    expect(await readdir(cwd)).toEqual(["openclaw-ha.yaml"]);
  });

  it("writes to the file of --config, wherever that is", async () => {
    const { cwd } = await folder();
    const run = await runCli(["--config", "prod.yaml", "init"], { cwd });
    expect(run.exitCode).toBe(0);
    expect(await readdir(cwd)).toEqual(["prod.yaml"]);
    const nowhere = await runCli(["--config", "no/such/folder.yaml", "init", "--json"], { cwd });
    expect(nowhere.exitCode).toBe(78);
    expect(nowhere.json()).toMatchObject({ error: { message: expect.stringContaining("ENOENT") as string } });
  });

  it.each([
    [["v9"], /v9/],
    [["--preset", "huge"], /huge/],
    [["v0", "--preset", "ha"], /preset ha is for v2, not v0/],
  ])("refuses %j", async (args, message) => {
    const { cwd, init } = await folder();
    const run = await init(...args);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(message);
    expect(await readdir(cwd)).toEqual([]);
  });
});
