import { mkdir, mkdtemp, readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { objectStoreContract } from "../../ports/contract/object-store.contract.ts";
import { directoryObjectStore } from "./object-store.ts";

async function emptyFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "openclaw-ha-objects-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

objectStoreContract("directory", async ({ stallMs }) => {
  const dir = await emptyFolder();
  return {
    store: directoryObjectStore({ dir: join(dir, "made", "on", "demand"), stallMs }),
    close: async () => {},
  };
});

it("keeps `a` and `a/b`, and segments longer than a file name may be", async () => {
  const store = directoryObjectStore({ dir: await emptyFolder() });
  const long = `x/${"ü".repeat(200)}`;
  const keys = ["a", "a/b", `${long}/y`, `${long}z`, `x/${"l".repeat(80)}`, `x/${"l".repeat(81)}`];
  for (const key of keys) await store.put(key, Buffer.from(key));
  for (const key of keys) expect(Buffer.from((await store.get(key))!).toString()).toBe(key);
  const listed: string[] = [];
  for await (const { key } of store.list("")) listed.push(key);
  expect(listed).toEqual(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
});

it("removes what a killed process left half written, and nothing that grows", async () => {
  const dir = await emptyFolder();
  await mkdir(join(dir, ".tmp"));
  await writeFile(join(dir, ".tmp", "abandoned"), "half");
  await writeFile(join(dir, ".tmp", "growing"), "half");
  const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1_000);
  await utimes(join(dir, ".tmp", "abandoned"), longAgo, longAgo);
  await directoryObjectStore({ dir }).check();
  expect(await readdir(join(dir, ".tmp"))).toEqual(["growing"]);
});

it("leaves no temporary file behind, whether a put succeeds or not", async () => {
  const dir = await emptyFolder();
  const store = directoryObjectStore({ dir });
  await store.put("a", Buffer.from("x"));
  await expect(store.put("b", Buffer.from("x"), { sha256: "0".repeat(64) })).rejects.toThrow("another hash");
  expect(await readdir(join(dir, ".tmp"))).toEqual([]);
});

it("says that the store is unavailable where its folder cannot be made", async () => {
  const dir = await emptyFolder();
  await writeFile(join(dir, "file"), "");
  const store = directoryObjectStore({ dir: join(dir, "file", "objects") });
  await expect(store.check()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await expect(store.put("a", Buffer.from("x"))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
});

it("calls nothing missing while its folder is away, or something else lies in its place", async () => {
  const dir = join(await emptyFolder(), "objects");
  const store = directoryObjectStore({ dir });
  expect(await store.get("a")).toBeNull();
  await store.put("a", Buffer.from("x"));
  await rename(dir, `${dir}.away`);
  await expect(store.get("a")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await writeFile(dir, "");
  await expect(store.head("a")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await rm(dir);
  await rename(`${dir}.away`, dir);
  expect(await store.head("a")).toMatchObject({ bytes: 1 });
  expect(await store.get("b")).toBeNull();
});
