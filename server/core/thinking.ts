import type { ModelSpec } from "./catalog.ts";

/** Levels of thinking that a model can be asked for. */
export const thinkingLevelsOf = (model: ModelSpec | undefined): readonly string[] =>
  model?.reasoning ? ["off", "low", "medium", "high"] : ["off"];

/** OpenClaw's level for each of the words that people use for it. */
const LEVELS: Readonly<Record<string, readonly string[]>> = {
  off: ["none"],
  minimal: ["min", "think"],
  low: ["on", "enable", "enabled", "thinkhard"],
  medium: ["mid", "med", "thinkharder", "harder"],
  high: ["ultrathink", "thinkhardest", "highest"],
  xhigh: ["extrahigh"],
  adaptive: ["auto"],
  max: [],
  ultra: [],
};

/** OpenClaw's levels; each model has some of them. */
export const THINKING_LEVELS: readonly string[] = Object.keys(LEVELS);

/** The level that a word stands for, in any case and with or without dashes; null: none of OpenClaw's. */
export function thinkingLevelOf(word: string): string | null {
  const sought = word
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]+/gu, "");
  const found = Object.entries(LEVELS).find(([level, words]) => level === sought || words.includes(sought));
  return found?.[0] ?? null;
}
