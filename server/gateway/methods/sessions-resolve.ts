import { z } from "zod";
import { HAError } from "../../core/errors.ts";
import type { SessionRecord } from "../../core/session.ts";
import type { SessionQuery } from "../../ports/session-store.ts";
import { resolveSession } from "../accept-run.ts";
import { labelText, sessionKeyText, text } from "../protocol/params.ts";
import { resolveShortId, type ShortIdMatch, shortIdText } from "../resolve-short-id.ts";
import { resolveAgent } from "./params.ts";
import { type Call, method, type Method } from "./registry.ts";

const params = z.object({
  key: sessionKeyText.optional(),
  sessionId: text.max(512).optional(),
  label: labelText.optional(),
  shortId: shortIdText.optional(),
  /** What an address of the Control UI names: a key. */
  reference: z.object({ key: sessionKeyText }).optional(),
  agentId: z.string().optional(),
  /** Only a subagent of this session. */
  spawnedBy: sessionKeyText.optional(),
  /** A session that is not there is an answer and no error. */
  allowMissing: z.boolean().optional(),
});
type Params = z.infer<typeof params>;

/** What a client names a session by; exactly one of them. */
const SELECTORS = ["key", "sessionId", "label", "shortId", "reference"] as const;

/** What was found, and how the error calls what was sought. */
interface Sought {
  readonly matches: readonly ShortIdMatch[];
  /** Behind `No session found`. */
  readonly what: string;
  /** A label or an id that several have is an error; a short id that several have is a question back. */
  readonly ambiguous?: string;
}

/** Which session a client means. */
export const sessionResolveMethods: readonly Method[] = [
  method({
    name: "sessions.resolve",
    scope: "operator.read",
    params,
    async handle(call, asked) {
      const selectors = SELECTORS.filter((name) => asked[name] !== undefined);
      if (selectors.length !== 1) throw badSelection(selectors.length);
      const { matches, what, ambiguous } = await seek(call, asked);
      if (matches.length > 1 && ambiguous !== undefined) {
        const keys = matches.map(({ key }) => key).join(", ");
        throw new HAError("REQUEST_INVALID", `Multiple sessions found ${ambiguous} (${keys})`);
      }
      if (matches.length > 1) return { ok: true, ambiguous: true, candidates: matches };
      const [found] = matches;
      if (found !== undefined) return { ok: true, ...found };
      if (asked.allowMissing === true) return { ok: false };
      throw new HAError("NOT_FOUND", `No session found${what}`);
    },
  }),
];

const badSelection = (named: number): HAError =>
  new HAError(
    "REQUEST_INVALID",
    named === 0
      ? "Either key, sessionId, label, shortId, or reference is required"
      : "Provide either key, sessionId, label, shortId, or reference (not multiple)",
  );

async function seek(call: Call, asked: Params): Promise<Sought> {
  const { gateway, tenant } = call;
  const { agentId, label, sessionId, shortId } = asked;
  if (shortId !== undefined) {
    return { matches: await resolveShortId(call, shortId, agentId), what: `: ${shortId}` };
  }
  if (label !== undefined) {
    const wanted = label.trim();
    const matches = await listed(call, asked, { label: wanted });
    return { matches, what: ` with label: ${wanted}`, ambiguous: `with label: ${wanted}` };
  }
  if (sessionId !== undefined) {
    const matches = await listed(call, asked, { sessionId });
    return { matches, what: `: ${sessionId}`, ambiguous: `for sessionId: ${sessionId}` };
  }
  const key = resolveSession(gateway.catalog, asked.key ?? asked.reference?.key ?? "", agentId);
  const session = await gateway.sessions.get(tenant, key);
  const kept = session !== null && isSpawnedBy(call, session, asked.spawnedBy);
  return { matches: kept ? [matchOf(session)] : [], what: `: ${key}` };
}

/** As a list shows them: without what is archived, of the agent and the requester that are named. */
async function listed(
  { gateway, tenant }: Call,
  { agentId, spawnedBy }: Params,
  by: Pick<SessionQuery, "label" | "sessionId">,
): Promise<ShortIdMatch[]> {
  const { sessions } = await gateway.sessions.list(tenant, {
    ...by,
    limit: 2,
    archived: false,
    agentId: agentId === undefined ? undefined : resolveAgent(gateway.catalog, { agentId }).id,
    spawnedBy: spawnedBy === undefined ? undefined : resolveSession(gateway.catalog, spawnedBy),
  });
  return sessions.map(matchOf);
}

const isSpawnedBy = ({ gateway }: Call, session: SessionRecord, requester: string | undefined): boolean =>
  requester === undefined || session.spawnedBy === resolveSession(gateway.catalog, requester);

const matchOf = ({ key, agentId }: SessionRecord): ShortIdMatch => ({ key, agentId });
