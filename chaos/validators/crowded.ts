import { type Facts, nameOf } from "./facts.ts";

/** Characters of a tenant's texts, and the time in which they were told, beyond which a client may not keep up with them. */
const CROWDED_CHARACTERS = 100_000;
const CROWDED_MS = 5_000;

/**
 * Whether so much was told in a tenant, up to that time, that a client of it may not have kept up: gateways then keep
 * pieces of texts back, which it is sent as a whole later, or with the end. Each text counts once, however many heard it.
 */
export function crowdedTimes({ heard }: Facts): (tenant: string, at: number) => boolean {
  const counted = new Set<string>();
  const told = new Map<string, { readonly at: number; readonly characters: number }[]>();
  for (const { at, runId, runSeq, tenant, text } of [...heard.values()].flat()) {
    const name = nameOf(tenant, runId, runSeq);
    if (text === null || counted.has(name)) continue;
    counted.add(name);
    const of = told.get(tenant) ?? [];
    told.set(tenant, of);
    of.push({ at, characters: text.length });
  }
  return (tenant, until) => {
    let characters = 0;
    for (const one of told.get(tenant) ?? [])
      if (one.at <= until && one.at > until - CROWDED_MS) characters += one.characters;
    return characters > CROWDED_CHARACTERS;
  };
}
