import { HAError } from "../core/errors.ts";
import { type KeyPath, pathKey, type Position } from "./json5-positions.ts";

export interface Location extends Position {
  readonly file: string;
}

/** Where keys of a configuration were written, over all files that it was put together from. */
export type Locations = ReadonlyMap<string, Location>;

/** Collects what is wrong with a configuration, so that everything is told at once. */
export interface Problems {
  /** The configuration cannot be used as it is. */
  error(path: KeyPath, message: string): void;
  /** It can, but not everything in it has the effect that its author expects. */
  warn(path: KeyPath, message: string): void;
  readonly warnings: readonly string[];
  /** @throws HAError CONFIG_INVALID with every error in `details.problems` */
  throwIfAny(): void;
}

export function problemCollector(file: string, locations: Locations): Problems {
  const errors: string[] = [];
  const warnings: string[] = [];
  return {
    warnings,
    error: (path, message) => void errors.push(`${placeOf(path, file, locations)}${message}`),
    warn: (path, message) => void warnings.push(`${placeOf(path, file, locations)}${message}`),
    throwIfAny() {
      if (errors.length === 0) return;
      throw configInvalid(file, errors);
    },
  };
}

export const configInvalid = (file: string, problems: readonly string[], options?: ErrorOptions): HAError =>
  new HAError(
    "CONFIG_INVALID",
    `${file} has ${problems.length === 1 ? "an error" : `${problems.length} errors`}`,
    { file, problems },
    options,
  );

/** `openclaw.json:12:5: agents.list.1.model: `; a key that is missing is placed at its nearest parent. */
function placeOf(path: KeyPath, file: string, locations: Locations): string {
  let found: Location | undefined;
  for (let length = path.length; length >= 0 && found === undefined; length--) {
    found = locations.get(pathKey(path.slice(0, length)));
  }
  const place = found ? `${found.file}:${found.line}:${found.column}: ` : `${file}: `;
  return path.length === 0 ? place : `${place}${path.join(".")}: `;
}
