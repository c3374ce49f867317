import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { findControlUi, namedControlUi } from "./find-control-ui.ts";

async function setup() {
  const root = await mkdtemp(path.join(tmpdir(), "openclaw-ha-find-"));
  onTestFinished(() => rm(root, { recursive: true }));
  /** An installed package; answers its Control UI. */
  const install = async (...place: readonly string[]): Promise<string> => {
    const build = path.join(root, ...place, "openclaw", "dist", "control-ui");
    await mkdir(build, { recursive: true });
    await writeFile(path.join(build, "index.html"), "");
    await writeFile(path.join(build, "..", "..", "openclaw.mjs"), "");
    return build;
  };
  const find = (cwd: string, PATH: string): string | null =>
    findControlUi(path.join(root, cwd), { PATH }, path.join(root, "node", "bin", "node"));
  return { root, install, find };
}

describe("the Control UI of an installed openclaw", () => {
  it("is found from a project's folder upwards, before anything else", async () => {
    const { find, install } = await setup();
    const local = await install("project", "node_modules");
    await install("node", "lib", "node_modules");
    expect(find("project/deep/down", "")).toBe(local);
  });

  it("is found by the program on PATH", async () => {
    const { find, install, root } = await setup();
    const global = await install("prefix", "lib", "node_modules");
    await mkdir(path.join(root, "prefix", "bin"));
    await symlink("../lib/node_modules/openclaw/openclaw.mjs", path.join(root, "prefix", "bin", "openclaw"));
    expect(find("elsewhere", `relative:${path.join(root, "prefix", "bin")}`)).toBe(global);
  });

  it("is found beside npm, or beside Node", async () => {
    const { find, install, root } = await setup();
    const besideNode = await install("node", "lib", "node_modules");
    expect(find("elsewhere", "")).toBe(besideNode);
    const besideNpm = await install("other", "lib", "node_modules");
    const npm = path.join(root, "other", "lib", "node_modules", "npm", "bin");
    await mkdir(npm, { recursive: true });
    await writeFile(path.join(npm, "npm-cli.js"), "");
    await mkdir(path.join(root, "bin"));
    await symlink(path.join(npm, "npm-cli.js"), path.join(root, "bin", "npm"));
    expect(find("elsewhere", path.join(root, "bin"))).toBe(besideNpm);
  });

  it("is null where there is none", async () => {
    const { find } = await setup();
    expect(find("elsewhere", "/nonexistent")).toBeNull();
  });
});

describe("a folder that was named", () => {
  it("is the build's own or the package's", async () => {
    const { install } = await setup();
    const build = await install("x");
    expect([namedControlUi(build), namedControlUi(path.join(build, "..", ".."))]).toEqual([build, build]);
  });

  it("without a build is refused with the next step", async () => {
    const { root } = await setup();
    expect(() => namedControlUi(root)).toThrow(`there is no Control UI in ${root}`);
  });
});
