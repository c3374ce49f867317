import { readFileSync } from "node:fs";
import type { ChainableCommander, Redis } from "ioredis";

/**
 * Each is a file of ./lua, `<name>-<number of keys>.lua`, whose head says what it guarantees, takes and returns. With
 * `n` for the number it takes as many keys as a call gives.
 */
const FILES = [
  "enqueue-3.lua",
  "done-3.lua",
  "reclaim-3.lua",
  "open-3.lua",
  "depth-3.lua",
  "publish-n.lua",
  "replay-1.lua",
  "take-1.lua",
  "charge-1.lua",
] as const;

export type ScriptName = (typeof FILES)[number] extends `${infer Name}-${number | "n"}.lua` ? Name : never;

interface Script {
  readonly lua: string;
  /** Absent: the first argument of a call tells. */
  readonly numberOfKeys?: number;
}

/**
 * The scripts as ioredis takes them: it sends EVALSHA, and the text only where a connection has not sent it yet or
 * the server has forgotten it.
 * @throws Error when a file of the release is missing
 */
export function loadScripts(): Record<string, Script> {
  return Object.fromEntries(
    FILES.map((file) => {
      const [name, keys] = file.replace(".lua", "").split("-") as [ScriptName, string];
      return [
        commandOf(name),
        { lua: readLua(file), ...(keys === "n" ? {} : { numberOfKeys: Number(keys) }) },
      ];
    }),
  );
}

/** Runs a script on a connection, or puts it into a pipeline (then nothing is to be awaited here). */
export function callScript(
  target: Redis | ChainableCommander,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const commands = target as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const command = commands[commandOf(name)]!;
  return FILES.includes(`${name}-n.lua` as (typeof FILES)[number])
    ? command.call(target, keys.length, ...keys, ...args)
    : command.call(target, ...keys, ...args);
}

/** ioredis makes a method of each script; the prefix keeps `publish` from replacing its own. */
const commandOf = (name: ScriptName): string => `script:${name}`;

function readLua(file: string): string {
  const text = readFileSync(new URL(`./lua/${file}`, import.meta.url), "utf8");
  return text.replace(/^-- @include (\S+)$/mu, (_line, included: string) => readLua(included));
}
