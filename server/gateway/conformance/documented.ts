import { type Difference, lineOf } from "./compare.ts";

/** A difference that is meant, in words of its own; COMPATIBILITY.md shows the same words. */
export interface Documented {
  /** Short, stable, unique: `session-row-extras`. */
  readonly id: string;
  /** What is different, in one or two sentences. */
  readonly what: string;
  /** Why it is right, or at least right for now. */
  readonly why: string;
  /**
   * The lines of the differences (compare.ts) that it covers: `*` stands for anything, `{a,b}` for either. Each
   * alternative must be there, so that a difference that is gone is noticed.
   */
  readonly lines: readonly string[];
  /** Lines that are there in some runs only, because they depend on time. Their absence is no news. */
  readonly sometimes?: readonly string[];
}

/** `a{b,c}` → `ab`, `ac`; braces may not be nested. */
export function alternatives(pattern: string): string[] {
  const [, before, inner, after] = /^([^{]*)\{([^}]*)\}(.*)$/s.exec(pattern) ?? [];
  if (before === undefined || inner === undefined || after === undefined) return [pattern];
  return inner.split(",").flatMap((choice) => alternatives(`${before}${choice}${after}`));
}

const matcher = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll("*", ".*")}$`);

export interface Judgement {
  /** Differences that no entry covers. */
  readonly undocumented: readonly Difference[];
  /** `id: pattern` of what is documented and was not seen. */
  readonly gone: readonly string[];
}

/** Holds what was seen against what is documented. */
export function judge(differences: readonly Difference[], entries: readonly Documented[]): Judgement {
  const lines = differences.map(lineOf);
  const covered = new Set<string>();
  const gone: string[] = [];
  for (const { id, lines: patterns, sometimes = [] } of entries) {
    for (const pattern of patterns.flatMap(alternatives)) {
      const matches = lines.filter((line) => matcher(pattern).test(line));
      if (matches.length === 0) gone.push(`${id}: ${pattern}`);
      for (const line of matches) covered.add(line);
    }
    for (const pattern of sometimes.flatMap(alternatives)) {
      for (const line of lines) if (matcher(pattern).test(line)) covered.add(line);
    }
  }
  return { undocumented: differences.filter((difference) => !covered.has(lineOf(difference))), gone };
}
