import type { DeploymentPlan } from "../server/supervisor/plan.ts";
import { table } from "./table.ts";

/** Names that a line has room for. */
const NAMES_MAX = 12;

/** What `up` would do, for people: what it leaves alone is told as a number only. */
export function planText({
  changes,
  instances,
  name,
  settings,
  stores,
  tenants,
  topology,
}: DeploymentPlan): string {
  if (!changes) return withNotes(`${name} (${topology}) is as asked for: up would change nothing`, tenants);
  const rows = [
    row("start", [...namesOf(stores, "start"), ...instances.start]),
    row("restart", instances.restart),
    row("stop", [...instances.stop, ...namesOf(stores, "stop")]),
    row(
      "use",
      stores.flatMap(({ action, mode, store }) => (action === "use" ? [`${store} (${mode})`] : [])),
    ),
    row(
      "add",
      tenants.add.map(({ id, pool }) => `tenant ${id} (${pool})`),
    ),
    ...settings.map(({ from, setting, to }) => ["set", `${setting}: ${shown(from)} → ${shown(to)}`]),
  ].filter((cells) => cells !== null);
  const kept = instances.keep.length + namesOf(stores, "keep").length;
  const lines = [`${name} (${topology}): up would`, table(rows.map((cells) => ["", ...cells]))];
  lines.push(`${kept} instances and stores go on as they are; nothing was changed`);
  return withNotes(lines.join("\n"), tenants);
}

function withNotes(text: string, { elsewhere, stale }: DeploymentPlan["tenants"]): string {
  const notes = elsewhere.map(
    ({ asked, id, pool }) => `tenant ${id} stays in pool ${pool}; it is asked for in ${asked}`,
  );
  if (stale) notes.push("PostgreSQL cannot be asked now: tenants are those known last");
  return [text, ...notes].join("\n");
}

const namesOf = (stores: DeploymentPlan["stores"], wanted: string): string[] =>
  stores.flatMap(({ action, store }) => (action === wanted ? [store] : []));

function row(verb: string, names: readonly string[]): string[] | null {
  if (names.length === 0) return null;
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return [verb, names.slice(0, NAMES_MAX).join(", ") + more];
}

const shown = (value: string | number | boolean | null): string =>
  value === null ? "default" : String(value);
