import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { InstanceRecords } from "../adapters/process/process-control.ts";
import { ensureFolder, readFileIfThere, writeFileAtomically } from "./atomic-file.ts";

const noteSchema = z.object({ pid: z.number().int().positive(), identity: z.string().min(1) });

const recordSchema = noteSchema.extend({
  id: z.string(),
  revision: z.string(),
  startedAt: z.string(),
  restarts: z.number().int(),
});

const RECORD = ".json";
const NOTE = ".note";

/**
 * Instance records as files of one folder: `gateway-1.json`, and `gateway-1.note`, which the child itself writes.
 * A damaged record counts as none: the note then still leads to the process.
 */
export async function fileInstanceRecords(folder: string): Promise<InstanceRecords> {
  await ensureFolder(folder);
  const file = (id: string, suffix: string): string => path.join(folder, id + suffix);
  return {
    async ids() {
      const names = await readdir(folder);
      const ids = names.filter((name) => name.endsWith(RECORD) || name.endsWith(NOTE));
      return [...new Set(ids.map((name) => path.parse(name).name))].sort();
    },
    read: (id) => readAs(recordSchema, file(id, RECORD)),
    write: (record) => writeFileAtomically(file(record.id, RECORD), `${JSON.stringify(record)}\n`),
    async remove(id) {
      await rm(file(id, RECORD), { force: true });
      await rm(file(id, NOTE), { force: true });
    },
    noteFile: (id) => file(id, NOTE),
    noted: (id) => readAs(noteSchema, file(id, NOTE)),
  };
}

async function readAs<T>(schema: z.ZodType<T>, file: string): Promise<T | null> {
  const text = await readFileIfThere(file);
  if (text === null) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
