import type { IncomingMessage, ServerResponse } from "node:http";
import type { GatewayMetrics } from "../metrics.ts";
import type { Readiness } from "../readiness.ts";
import { isRead, methodNotAllowed, sendJson, sendText } from "./answer.ts";

export interface ProbeParts {
  readonly readiness: Readiness;
  readonly metrics: GatewayMetrics;
  readonly version: string;
  readonly uptimeMs: () => number;
}

type Answer = readonly [status: number, body: unknown];

const live = async (): Promise<Answer> => [200, { ok: true, status: "live" }];

const started = async ({ version, uptimeMs }: ProbeParts): Promise<Answer> => [
  200,
  { ok: true, status: "started", version, uptimeMs: uptimeMs() },
];

const ready = async ({ readiness, uptimeMs }: ProbeParts): Promise<Answer> => {
  const failing = await readiness.failing();
  return [failing.length === 0 ? 200 : 503, { ready: failing.length === 0, failing, uptimeMs: uptimeMs() }];
};

/** OpenClaw's probes under both of their names, and ours for Prometheus. */
const PROBES = new Map<string, (parts: ProbeParts) => Promise<Answer>>([
  ["/health", live],
  ["/healthz", live],
  ["/ready", ready],
  ["/readyz", ready],
  ["/startup", started],
  ["/startupz", started],
  ["/metrics", live],
]);

export const isProbe = (path: string): boolean => PROBES.has(path);

/** Answers a probe, or Prometheus. */
export async function answerProbe(
  parts: ProbeParts,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!isRead(request)) return methodNotAllowed(response, "GET, HEAD");
  if (path === "/metrics") {
    return sendText(response, 200, "text/plain; version=0.0.4; charset=utf-8", await parts.metrics.text());
  }
  const [status, body] = await (PROBES.get(path) ?? live)(parts);
  sendJson(response, status, body);
}
