import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { AgentTool } from "../../server/ports/agent-runtime.ts";
import type { Grant } from "../../server/ports/run-ledger.ts";

/** Where the tool of a test build writes what it did, one JSON line each: at the root of that build. */
const EFFECTS = fileURLToPath(new URL("../../effects.jsonl", import.meta.url));

/**
 * The tools of a run in a test build: `pay` takes effect at once, every time, and then takes its time to say so. So a
 * worker that is killed meanwhile leaves an effect without a result.
 */
export const payTool = ({ tenant, runId }: Grant): readonly AgentTool[] => [
  {
    name: "pay",
    description: "Pays once for every call.",
    parameters: { type: "object", properties: { ms: { type: "number" } }, required: ["ms"] },
    idempotent: false,
    async execute({ args, id }, signal) {
      appendFileSync(EFFECTS, `${JSON.stringify({ tenant, runId, toolCallId: id })}\n`);
      await sleep((args as { readonly ms: number }).ms, undefined, { signal });
      return { text: "paid" };
    },
  },
];
