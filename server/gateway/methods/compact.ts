import { z } from "zod";
import { resolveSession } from "../accept-run.ts";
import { compactMessage } from "../commands/session-commands.ts";
import { checkWaits, waitForEnd } from "../wait-for-end.ts";
import { keyParam } from "./sessions-read.ts";
import { method, type Method } from "./registry.ts";

/**
 * `sessions.compact`: the same run as `/compact` makes, waited for. It may be queued behind others, and goes on when the
 * client is gone. OpenClaw refuses a session that is busy instead.
 */
export const compactMethods: readonly Method[] = [
  method({
    name: "sessions.compact",
    scope: "operator.admin",
    accepts: true,
    params: keyParam.extend({
      instructions: z.string().max(4_096).optional(),
      idempotencyKey: z.string().min(1).max(256).optional(),
    }),
    async handle(call, params) {
      const { gateway, tenant, connection, hub } = call;
      checkWaits(call);
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      const instructions = params.instructions?.trim() ?? "";
      const answer = { ok: true, key, compacted: false };
      if ((await gateway.sessions.get(tenant, key)) === null) return { ...answer, reason: "no sessionId" };
      const { run, made } = await gateway.acceptor.accept({
        tenant,
        sessionKey: key,
        idempotencyKey: params.idempotencyKey ?? gateway.random.uuid(),
        message: compactMessage(instructions),
        traceparent: call.traceparent,
        attachments: [],
        options: { requesterConnId: connection.id, compact: { instructions } },
      });
      hub.track(run, connection, made);
      if ((await waitForEnd(call, run.runId, { timeoutMs: null, lookUp: true })) === null) return undefined;
      const ended = await gateway.ledger.get(tenant, run.runId);
      const compaction = ended?.result?.compaction;
      if (compaction === undefined) {
        return { ...answer, ok: false, reason: ended?.error?.message ?? "the compaction was aborted" };
      }
      const { compacted, reason, tokensBefore, tokensAfter } = compaction;
      if (compacted) hub.feed.changed(key, { reason: "compact" });
      return {
        ok: compacted,
        key,
        compacted,
        ...(reason === undefined ? {} : { reason }),
        ...(compacted ? { result: { tokensBefore, tokensAfter } } : {}),
      };
    },
  }),
];
