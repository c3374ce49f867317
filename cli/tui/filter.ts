/** What was typed to narrow lists: `tenant:acme session:notes refused`. */
export interface ListFilter {
  readonly tenant: string | null;
  readonly session: string | null;
  /** Words that a row must hold, all of them. */
  readonly words: readonly string[];
}

export function parseFilter(typed: string): ListFilter {
  const parts = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const named = (name: string): string | null =>
    parts.findLast((part) => part.startsWith(`${name}:`))?.slice(name.length + 1) || null;
  return {
    tenant: named("tenant"),
    session: named("session"),
    words: parts.filter((part) => !/^(tenant|session):/.test(part)),
  };
}

/** What a row can be found by; a row without a tenant or session is not looked for by one. */
export interface Findable {
  readonly tenant?: string;
  readonly session?: string;
  readonly text: string;
}

export function isFound({ session, tenant, text }: Findable, filter: ListFilter): boolean {
  if (filter.tenant !== null && tenant !== undefined && tenant.toLowerCase() !== filter.tenant) return false;
  if (filter.session !== null && session !== undefined && !session.toLowerCase().includes(filter.session)) {
    return false;
  }
  const searched = text.toLowerCase();
  return filter.words.every((word) => searched.includes(word));
}
