import { z } from "zod";
import { nearestName } from "../core/nearest-name.ts";
import { isRecord } from "../openclaw-config/read-document.ts";
import type { KeyPath } from "./places.ts";
import { deploymentFileSchema } from "./schema.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

/** The schema as editors read it (JSON Schema, draft 2020-12). */
export const jsonSchema = (): JsonSchema => z.toJSONSchema(deploymentFileSchema, { io: "input" });

/** `; did you mean …?` for a key that is not known where it stands: a neighbour, else one of another group. */
export function misspelt(group: KeyPath, name: string): string {
  const all = jsonSchema();
  const near = nearestName(name, Object.keys(propertiesAt(all, group)));
  if (near !== null) return `; did you mean ${near}?`;
  const elsewhere = settingsOf(all).filter((path) => !path.includes("*"));
  const leaves = elsewhere.map((path) => path.split(".").at(-1) ?? "");
  const leaf = nearestName(name, leaves);
  return leaf === null ? "" : `; did you mean ${elsewhere[leaves.indexOf(leaf)]}?`;
}

/** Every key that may be said, `pools.worker.slots`; `*` is any name, or any element of a list. */
export const settingsOf = (schema: JsonSchema, at = ""): string[] =>
  Object.entries(propertiesOf(schema)).flatMap(([name, below]) => {
    const key = at === "" ? name : `${at}.${name}`;
    return [key, ...settingsOf(below, key)];
  });

const propertiesAt = (schema: JsonSchema, path: KeyPath): Record<string, JsonSchema> =>
  propertiesOf(schemaAt(schema, path));

/** What is said of a key; nothing where there is none. */
export function schemaAt(schema: JsonSchema, path: KeyPath): JsonSchema {
  let found = schema;
  for (const part of path) {
    const below = propertiesOf(found);
    found = below[String(part)] ?? below["*"] ?? {};
  }
  return found;
}

/** Of an object, of the values of a record or of a list, whichever of several kinds it may be. */
function propertiesOf(schema: JsonSchema): Record<string, JsonSchema> {
  const found: Record<string, JsonSchema> = {};
  for (const kind of [schema, ...listOf(schema["anyOf"])]) {
    const { additionalProperties, items, properties } = kind;
    if (isRecord(properties)) Object.assign(found, properties);
    for (const any of [additionalProperties, items]) if (isRecord(any)) found["*"] = any;
    if (kind !== schema) Object.assign(found, propertiesOf(kind));
  }
  return found;
}

const listOf = (value: unknown): JsonSchema[] => (Array.isArray(value) ? value.filter(isRecord) : []);
