import { readFileSync } from "node:fs";
import path from "node:path";
import JSON5 from "json5";
import { json5Positions, type KeyPath, pathKey } from "./json5-positions.ts";
import { configInvalid, type Location } from "./problems.ts";

/** Nested includes, as OpenClaw limits them. */
const INCLUDE_DEPTH_MAX = 10;

/** A configuration with its includes resolved, and where each key was written. */
export interface ConfigDocument {
  readonly value: Readonly<Record<string, unknown>>;
  readonly locations: ReadonlyMap<string, Location>;
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads a JSON5 file of OpenClaw. `$include` names a file, or several that are merged in order, relative to the
 * including file; keys beside it go before what was included.
 * @throws HAError CONFIG_INVALID with file, line and column: unreadable, not JSON5, not an object, includes in a circle
 */
export function readConfigDocument(file: string, read = readText): ConfigDocument {
  const locations = new Map<string, Location>();
  const value = readInto(file, [], [], locations, read);
  if (!isRecord(value)) throw configInvalid(file, [`${file}:1:1: the configuration must be an object`]);
  return { value, locations };
}

function readInto(
  file: string,
  at: KeyPath,
  including: readonly string[],
  locations: Map<string, Location>,
  read: (file: string) => string,
): unknown {
  if (including.includes(file)) throw configInvalid(file, [`${file}: $include in a circle`]);
  if (including.length > INCLUDE_DEPTH_MAX) {
    throw configInvalid(file, [`${file}: more than ${INCLUDE_DEPTH_MAX} nested $include`]);
  }
  const text = read(file);
  const value = parse(text, file);
  for (const [key, position] of json5Positions(text)) {
    locations.set(pathKey([...at, ...(JSON.parse(key) as string[])]), { file, ...position });
  }
  const resolve = (node: unknown, here: KeyPath): unknown => {
    if (Array.isArray(node)) return node.map((item, index) => resolve(item, [...here, index]));
    if (!isRecord(node)) return node;
    const { $include, ...rest } = node;
    const own = Object.fromEntries(
      Object.entries(rest).map(([key, item]) => [key, resolve(item, [...here, key])]),
    );
    if ($include === undefined) return own;
    // The keys written here keep their own locations over those of the included files.
    const ownLocations = new Map(locations);
    const included = includedFiles($include, file, here).map((name) =>
      readInto(path.resolve(path.dirname(file), name), here, [...including, file], locations, read),
    );
    for (const [key, location] of ownLocations) locations.set(key, location);
    if (included.length === 1 && Object.keys(own).length === 0) return included[0];
    return [...included, own].reduce(merge, {});
  };
  return resolve(value, at);
}

function includedFiles(include: unknown, file: string, here: KeyPath): readonly string[] {
  const names = Array.isArray(include) ? include : [include];
  if (names.every((name): name is string => typeof name === "string" && name !== "")) return names;
  throw configInvalid(file, [
    `${file}: ${[...here, "$include"].join(".")}: expected a file name or a list of them`,
  ]);
}

/** Objects are merged key by key; of anything else the later one wins. */
function merge(earlier: unknown, later: unknown): unknown {
  if (!isRecord(earlier) || !isRecord(later)) return later;
  const merged: Record<string, unknown> = { ...earlier };
  for (const [key, value] of Object.entries(later))
    merged[key] = key in earlier ? merge(earlier[key], value) : value;
  return merged;
}

function parse(text: string, file: string): unknown {
  try {
    return JSON5.parse<unknown>(text);
  } catch (error) {
    const { lineNumber, columnNumber, message } = error as SyntaxError & {
      lineNumber?: number;
      columnNumber?: number;
    };
    // JSON5 ends its message with the place, which stands in front here.
    const what = message.replace(/^JSON5: /, "").replace(/ at \d+:\d+$/, "");
    throw configInvalid(file, [`${file}:${lineNumber ?? 1}:${columnNumber ?? 1}: ${what}`], { cause: error });
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw configInvalid(file, [`${file}: ${why}`], { cause: error });
  }
}
