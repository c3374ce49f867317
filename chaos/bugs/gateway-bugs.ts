import type { PlantedBug } from "./planted-bug.ts";

/** Bugs of gateways and of the event bus: what clients are told. */
export const GATEWAY_BUGS: readonly PlantedBug[] = [
  {
    name: "ack-before-commit",
    what: "a send is acknowledged while its commit is still under way",
    promise: "no-lost-ack",
    trial: "postgres-killed",
    edits: [
      {
        file: "server/gateway/accept-run.ts",
        find: "      return settle(\n        tenant,\n        await accepts.submit({",
        replace: "      const committing = accepts.submit({",
      },
      {
        file: "server/gateway/accept-run.ts",
        find: "          newSessionId: random.uuid(),\n        }),\n      );",
        replace:
          "          newSessionId: random.uuid(),\n        });\n" +
          "      void committing.then((answer) => settle(tenant, answer)).catch(() => undefined);\n" +
          '      const open = { status: "queued", attempt: 0, failures: 0, worker: null, startedAt: null, endedAt: null } as const;\n' +
          "      const run = { ...open, tenant, runId, sessionKey, agentId, sessionId: runId, acceptedAt: clock.now() };\n" +
          "      return { run: run as unknown as RunRecord, made: true };",
      },
    ],
  },
  {
    name: "refusal-without-retry",
    what: "a send that meets an absent PostgreSQL is refused for good",
    promise: "honest-degradation",
    trial: "postgres-killed",
    edits: [
      {
        file: "server/gateway/protocol/errors.ts",
        find: "      retryable: true,\n      retryAfterMs: STORE_RETRY_MS,\n",
        replace: "",
      },
    ],
  },
  {
    name: "events-to-all-tenants",
    what: "one channel carries the events of all tenants, and nobody looks whose they are",
    promise: "isolated",
    trial: "busy",
    edits: [
      {
        file: "server/adapters/redis/keys.ts",
        find: "`${prefix}:tenant:${tenant}`",
        replace: "`${prefix}:tenant:${tenant.slice(0, 0)}`",
      },
      {
        file: "server/adapters/redis/event-bus.ts",
        find: "          if (message.events.every((event) => event.tenant === tenant))",
        replace: "          if (message.events.every((event) => event.tenant.length > 0))",
      },
    ],
  },
  {
    name: "replace-not-told",
    what: "a text that replaces what was told is told as if it continued it",
    promise: "resumable",
    trial: "worker-killed",
    edits: [
      {
        file: "server/gateway/run-teller.ts",
        find: 'openEvent("chat", chatDelta(view, ts, added, replace))',
        replace: 'openEvent("chat", chatDelta(view, ts, added, false))',
      },
    ],
  },
];
