import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Redis } from "ioredis";
import { eventTexts } from "./read-redis.ts";
import type { StoresSnapshot } from "./snapshot.ts";

type Foreign = StoresSnapshot["foreign"][number];
type Tenants = readonly { readonly id: string; readonly canary: string }[];

/** Named in place of a tenant where something belongs to none: no message of anybody may stand there. */
const NOBODY = "(nobody)";

/** Objects below `tenants/TENANT/` that hold another tenant's canary. */
export async function findForeignInFolder(folder: string, tenants: Tenants): Promise<Foreign[]> {
  const found: Foreign[] = [];
  for (const { id } of tenants) {
    for (const file of await filesUnder(join(folder, "tenants", id))) {
      const text = await readFile(file, "latin1").catch(() => "");
      found.push(...foreignIn(text, `object ${relative(folder, file)}`, id, tenants));
    }
  }
  return found;
}

/** Log files with anybody's canary: what people write to their agents is not for the logs. */
export async function findInLogs(folder: string, tenants: Tenants): Promise<Foreign[]> {
  const found: Foreign[] = [];
  for (const file of await filesUnder(folder)) {
    const text = await readFile(file, "latin1").catch(() => "");
    found.push(...foreignIn(text, `log ${relative(folder, file)}`, NOBODY, tenants));
  }
  return found;
}

/** Event histories in Redis that hold another tenant's canary. */
export async function findForeignInRedis(redis: Redis, tenants: Tenants): Promise<Foreign[]> {
  const found: Foreign[] = [];
  for (const { id } of tenants) {
    for (const { key, text } of await eventTexts(redis, id)) {
      found.push(...foreignIn(text, `redis ${key}`, id, tenants));
    }
  }
  return found;
}

/** The canaries in a text that belong to another than `owner`. */
export const foreignIn = (text: string, where: string, owner: string, tenants: Tenants): Foreign[] =>
  tenants
    .filter(({ canary, id }) => id !== owner && text.includes(canary))
    .map(({ canary }) => ({ where, tenant: owner, canary }));

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
