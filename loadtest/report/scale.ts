/** Where a value lies between two pixels, and the values that are worth a line across the chart. */
export interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** A step of 1, 2 or 5 times a power of ten that cuts the span into about so many pieces. */
function niceStep(span: number, pieces: number): number {
  const rough = span / pieces;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough * 0.999) ?? 10;
  return factor * power;
}

const between = (from: number, to: number, share: number): number => from + (to - from) * share;

/** From `min` to at least `max`, ending on a tick unless `exact`. An empty span is shown as one of 1. */
export function linearScale(
  [min, max]: readonly [number, number],
  [from, to]: readonly [number, number],
  options: { readonly pieces?: number; readonly exact?: boolean } = {},
): Scale {
  const span = max > min ? max - min : 1;
  const step = niceStep(span, options.pieces ?? 5);
  const top = options.exact === true ? min + span : Math.ceil((min + span) / step - 1e-9) * step;
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(top / step + 1e-9);
  // Multiples rather than sums: 0.1 + 0.2 is no label that anybody wants to read.
  const ticks = Array.from({ length: last - first + 1 }, (_, n) =>
    Number(((first + n) * step).toPrecision(12)),
  );
  return { ticks, at: (value) => between(from, to, (value - min) / (top - min)) };
}

/** Powers of ten, for times that differ by orders of magnitude. Values below `min` lie on its line. */
export function logScale(
  [min, max]: readonly [number, number],
  [from, to]: readonly [number, number],
): Scale {
  const low = Math.floor(Math.log10(Math.max(min, 1e-6)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(max, 1e-6)) - 1e-9));
  const ticks = Array.from({ length: high - low + 1 }, (_, n) => Number((10 ** (low + n)).toPrecision(12)));
  const share = (value: number): number => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low);
  return { ticks, at: (value) => between(from, to, share(value)) };
}

/** A number for people: three significant digits, thousands apart, no trailing zeros. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Number(value.toFixed(value !== 0 && Math.abs(value) < 0.01 ? 4 : digits)).toLocaleString("en-US", {
    maximumFractionDigits: 4,
  });
}

/** Milliseconds, or seconds where that reads better. */
export const formatMs = (ms: number): string =>
  Math.abs(ms) >= 10_000 ? `${formatNumber(ms / 1_000)} s` : `${formatNumber(ms)} ms`;
