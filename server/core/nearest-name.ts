/** Edits (a letter more, less, another, or two exchanged) up to which a name counts as a misspelling. */
const NEAR = 3;

/** The name that was probably meant; null where none is near. */
export function nearestName(typed: string, names: readonly string[]): string | null {
  const text = typed.toLowerCase();
  const beginning = names.filter((name) => text.length >= 3 && name.startsWith(text));
  if (beginning.length === 1) return beginning[0] ?? null;
  const near = names
    .map((name) => ({ name, edits: edits(text, name) }))
    .filter(({ name, edits: count }) => count <= Math.min(NEAR, Math.ceil(name.length / 2)))
    .sort((a, b) => a.edits - b.edits);
  return near[0]?.name ?? null;
}

/** Optimal string alignment distance. */
function edits(a: string, b: string): number {
  const rows: number[][] = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let j = 1; j <= b.length; j++) (rows[0] as number[])[j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, at(i - 2, j - 2) + 1);
      (rows[i] as number[])[j] = least;
    }
  }
  return at(a.length, b.length);
}
