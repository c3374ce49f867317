import type { AcceptAnswer } from "./run-ledger.ts";

/** The run is in the ledger. */
export type AcceptedAnswer = Extract<AcceptAnswer, { readonly kind: "new" | "existing" }>;

/** It is not, and nothing of it was kept. */
export interface RefusedAnswer {
  readonly kind: "refused";
  readonly reason: Extract<AcceptAnswer, { readonly kind: "refused" }>["reason"] | "conflict";
}

/** For runs whose ids are our own: there a conflict is one reason more why nothing was accepted. */
export const acceptedOrRefused = (answer: AcceptAnswer): AcceptedAnswer | RefusedAnswer =>
  answer.kind === "conflict" ? { kind: "refused", reason: "conflict" } : answer;
