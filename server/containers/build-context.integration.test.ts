import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it, onTestFinished } from "vitest";
import { contextArchive, contextHash } from "./build-context.ts";

/** A folder with these files, gone with the test. */
async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "openclaw-ha-context-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [file, content] of Object.entries(files)) {
    await mkdir(join(folder, file, ".."), { recursive: true });
    await writeFile(join(folder, file), content);
  }
  return folder;
}

const FILES = { "a.ts": "a", "sub/b.ts": "b", "sub/b.test.ts": "t", "sub/testing/c.ts": "c" };
const hashOf = (directory: string, entries = ["a.ts", "sub"]): Promise<string> =>
  contextHash([{ directory, entries }]);

it("is the same for the same content, wherever it lies", async () => {
  expect(await hashOf(await folderOf(FILES))).toBe(await hashOf(await folderOf(FILES)));
});

it("changes with a byte, a name and a mode", async () => {
  const plain = await hashOf(await folderOf(FILES));
  expect(await hashOf(await folderOf({ ...FILES, "sub/b.ts": "B" }))).not.toBe(plain);
  expect(await hashOf(await folderOf({ "a.ts": "a", "sub/d.ts": "b" }))).not.toBe(plain);
  const executable = await folderOf(FILES);
  await chmod(join(executable, "a.ts"), 0o755);
  expect(await hashOf(executable)).not.toBe(plain);
});

it("does not change with a test or its helpers", async () => {
  const plain = await hashOf(await folderOf(FILES));
  const edited = { ...FILES, "sub/b.test.ts": "T", "sub/testing/c.ts": "C", "sub/fixtures/new.json": "{}" };
  expect(await hashOf(await folderOf(edited))).toBe(plain);
});

it("believes a key in place of the content", async () => {
  const [one, other] = [await folderOf({ "m/x": "1" }), await folderOf({ "m/x": "2" })];
  const keyed = (directory: string, key: string) => contextHash([{ directory, entries: ["m"], key }]);
  expect(await keyed(one, "v1")).toBe(await keyed(other, "v1"));
  expect(await keyed(one, "v1")).not.toBe(await keyed(one, "v2"));
});

it("archives what it hashed, and keyed folders as they are", async () => {
  const [sources, packages] = [await folderOf(FILES), await folderOf({ "m/x.test.ts": "theirs" })];
  const archive = await contextArchive([
    { directory: sources, entries: ["a.ts", "sub"] },
    { directory: packages, entries: ["m"], key: "v1" },
  ]);
  const { stdout } = await execa("tar", ["--list", "--file=-"], { input: archive });
  expect(stdout.split("\n").filter((name) => !name.endsWith("/"))).toEqual([
    "a.ts",
    "sub/b.ts",
    "m/x.test.ts",
  ]);
});
