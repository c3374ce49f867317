import { SCALED_POOLS } from "../../server/core/scaling.ts";
import type { ScalingView } from "../../server/supervisor/view.ts";
import { formatDuration } from "../duration.ts";
import { table } from "../table.ts";
import { printable } from "../text-table.ts";
import type { ScaleChange, ScaleReport } from "./scale-deployment.ts";

/** Decisions that people are shown; --json has more. */
const SHOWN = 5;

/** Sizes of the pools, who decides them, and why they were changed last. */
export function scalingText({ decisions, pools }: ScalingView, now: number): string {
  const rows = SCALED_POOLS.map((pool) => {
    const { auto, current, desired, max, min } = pools[pool];
    return [pool, String(current), String(desired), auto ? `auto, ${min} to ${max}` : "by hand"];
  });
  const lines = [table([["POOL", "READY", "WANTED", "SIZED"], ...rows])];
  for (const { at, from, pool, reason, to } of decisions.slice(0, SHOWN)) {
    const ago = formatDuration(Math.max(0, now - Date.parse(at)));
    lines.push(`${ago} ago: ${pool} ${from} → ${to}, ${printable(reason)}`);
  }
  return lines.join("\n");
}

export function scaleText({ applied, changes, scaling }: ScaleReport, now: number): string {
  const said = changes.length === 0 ? ["nothing changes"] : changes.map(changeText);
  const heading = applied || changes.length === 0 ? [] : ["this would change:"];
  return [...heading, ...said, "", scalingText(scaling, now)].join("\n");
}

const changeText = ({ what, from, to }: ScaleChange): string => `${what}: ${shown(from)} → ${shown(to)}`;
const shown = (value: number | boolean): string =>
  typeof value === "number" ? String(value) : value ? "on" : "off";
