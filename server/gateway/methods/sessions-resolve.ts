import { z } from "zod";
import { HAError } from "../../core/errors.ts";
import { resolveSession } from "../accept-run.ts";
import { sessionKeyText } from "../protocol/params.ts";
import { resolveShortId, type ShortIdMatch, shortIdText } from "../resolve-short-id.ts";
import { type Call, method, type Method } from "./registry.ts";

const params = z
  .object({
    key: sessionKeyText.optional(),
    /** What an address of the Control UI names: a key. */
    reference: z.object({ key: sessionKeyText }).optional(),
    shortId: shortIdText.optional(),
    agentId: z.string().optional(),
    /** A session that is not there is an answer and no error. */
    allowMissing: z.boolean().optional(),
  })
  .refine(
    ({ key, reference, shortId }) =>
      [key, reference, shortId].filter((one) => one !== undefined).length === 1,
    { error: "one of key, shortId or reference is required" },
  );

/** Which session a client means. */
export const sessionResolveMethods: readonly Method[] = [
  method({
    name: "sessions.resolve",
    scope: "operator.read",
    params,
    async handle(call, { agentId, allowMissing, key, reference, shortId }) {
      const matches =
        shortId === undefined
          ? await byKey(call, key ?? reference?.key ?? "", agentId)
          : await resolveShortId(call, shortId, agentId);
      if (matches.length > 1) return { ok: true, ambiguous: true, candidates: matches };
      const [found] = matches;
      if (found !== undefined) return { ok: true, ...found };
      if (allowMissing === true) return { ok: false };
      const sought = shortId ?? resolveSession(call.gateway.catalog, key ?? reference?.key ?? "", agentId);
      throw new HAError("NOT_FOUND", `No session found: ${sought}`, { sessionKey: sought });
    },
  }),
];

async function byKey({ gateway, tenant }: Call, sent: string, agentId?: string): Promise<ShortIdMatch[]> {
  const session = await gateway.sessions.get(tenant, resolveSession(gateway.catalog, sent, agentId));
  return session === null ? [] : [{ key: session.key, agentId: session.agentId }];
}
