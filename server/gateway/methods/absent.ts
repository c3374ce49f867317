import { z } from "zod";
import type { Scope } from "../protocol/scopes.ts";
import { type Call, method, type Method } from "./registry.ts";

/** A list of things that a pool has none of. */
const none = (name: string, scope: Scope, answer: (call: Call) => unknown): Method =>
  method({ name, scope, params: z.object({}), handle: (call) => answer(call) });

/**
 * Things of OpenClaw that a pool has none of by design, so that an empty list is the whole truth: no devices are paired
 * as nodes, no tool asks a person for leave or for an answer, and no gateway updates itself.
 */
export const absentMethods: readonly Method[] = [
  none("node.list", "operator.read", ({ gateway }) => ({ ts: gateway.clock.now(), nodes: [] })),
  none("question.list", "operator.questions", () => ({ questions: [] })),
  none("exec.approval.list", "operator.approvals", () => []),
  none("plugin.approval.list", "operator.approvals", () => []),
  none("openclaw.approval.list", "operator.approvals", () => []),
  none("update.status", "operator.admin", () => ({
    sentinel: null,
    updateAvailable: null,
    effectiveChannel: "stable",
    schedule: { channel: "stable", autoEnabled: false, install: { kind: "package" } },
  })),
];
