/** Scopes that methods and events ask for; OpenClaw's names. */
export type Scope = (typeof SCOPES)[number];

const SCOPES = [
  "operator.read",
  "operator.write",
  "operator.admin",
  "operator.approvals",
  "operator.questions",
] as const;

/**
 * Admin implies everything and write implies read, for methods and for events alike: `openclaw agent` connects with
 * `operator.write` only and receives its run's events.
 */
export function hasScope(granted: readonly string[], wanted: Scope): boolean {
  if (granted.includes(wanted) || granted.includes("operator.admin")) return true;
  return wanted === "operator.read" && granted.includes("operator.write");
}

/**
 * What a connection holds: what it asked for, as far as its token reaches. Asking for admin asks for all that the
 * token has. Unknown names are echoed, as OpenClaw does, and match nothing.
 */
export function grantScopes(asked: readonly string[], token: readonly string[]): readonly string[] {
  if (token.includes("operator.admin")) return asked;
  const wanted = asked.includes("operator.admin") ? new Set([...asked, ...token]) : new Set(asked);
  return [...wanted].filter((scope) => !isScope(scope) || hasScope(token, scope));
}

const isScope = (name: string): name is Scope => (SCOPES as readonly string[]).includes(name);
