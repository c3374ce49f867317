import { isRecord } from "./read-document.ts";
import type { KeyPath } from "./json5-positions.ts";
import type { Problems } from "./problems.ts";
import { type OpenClawConfig, openclawConfigSchema } from "./schema.ts";

/**
 * Checks the shape of the configuration. Values of the wrong kind are told and left out of the answer, so that what
 * else is wrong is found in the same go; the caller must not use the answer before `problems.throwIfAny`.
 * @throws HAError CONFIG_INVALID at once where models are of the wrong shape: agents are checked against them, so every
 *   further error might only be a consequence
 */
export function validate(value: unknown, problems: Problems): OpenClawConfig {
  let rest: unknown = value;
  for (;;) {
    const parsed = openclawConfigSchema.safeParse(rest);
    if (parsed.success) return parsed.data;
    const paths = parsed.error.issues.map((issue) => issue.path as KeyPath);
    // What is left out makes its surroundings wrong at most: only the first look is at what somebody wrote.
    if (rest === value) {
      for (const issue of parsed.error.issues) problems.error(issue.path as KeyPath, issue.message);
      if (paths.some(([section]) => section === "models")) problems.throwIfAny();
    }
    for (const path of paths) rest = without(rest, path);
  }
}

/**
 * The value without what lies at the path or, where nothing does or it is an element of a list, without what holds it:
 * the places of the other elements must stay what they are in the file.
 */
function without(value: unknown, path: KeyPath): unknown {
  if (path.length === 0) return {};
  const holder = path.slice(0, -1);
  const key = path.at(-1) ?? "";
  const held = at(value, holder);
  if (!isRecord(held) || held[key] === undefined) return without(value, holder);
  return removed(value, path);
}

const at = (value: unknown, path: KeyPath): unknown =>
  path.reduce<unknown>(
    (inner, key) => (Array.isArray(inner) ? inner[Number(key)] : isRecord(inner) ? inner[key] : undefined),
    value,
  );

/** A copy along the path. */
function removed(value: unknown, [key = "", ...rest]: KeyPath): unknown {
  if (Array.isArray(value)) return value.map((item, n) => (n === Number(key) ? removed(item, rest) : item));
  if (!isRecord(value)) return value;
  const { [key]: inner, ...others } = value;
  return rest.length === 0 ? others : { ...others, [key]: removed(inner, rest) };
}
