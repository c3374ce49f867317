import { z } from "zod";

/** A secret in place, `${NAME}` resolved already, or OpenClaw's reference to one kept elsewhere. */
const secretInput = z.union([
  z.string(),
  z.looseObject({ source: z.enum(["env", "file", "exec", "store"]), id: z.string() }),
]);
export type SecretInput = z.infer<typeof secretInput>;

const modelChoice = z.union([
  z.string(),
  z.looseObject({ primary: z.string().optional(), fallbacks: z.array(z.string()).optional() }),
]);
export type ModelChoice = z.infer<typeof modelChoice>;

const width = z.number().min(1).transform(Math.floor);
const price = z.number().min(0).default(0);

const model = z.looseObject({
  id: z.string().min(1),
  name: z.string().optional(),
  api: z.string().optional(),
  reasoning: z.boolean().default(false),
  input: z.array(z.enum(["text", "image", "audio", "video", "document"])).default(["text"]),
  cost: z
    .looseObject({ input: price, output: price, cacheRead: price, cacheWrite: price })
    .default({ input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }),
  contextWindow: z.number().int().positive().optional(),
  contextTokens: z.number().int().positive().optional(),
  maxTokens: z.number().int().positive().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  compat: z.record(z.string(), z.unknown()).optional(),
});

const provider = z.looseObject({
  baseUrl: z.string().optional(),
  api: z.string().optional(),
  apiKey: secretInput.optional(),
  headers: z.record(z.string(), z.string()).optional(),
  maxTokens: z.number().int().positive().optional(),
  contextWindow: z.number().int().positive().optional(),
  models: z.array(model).default([]),
});
export type ProviderEntry = z.infer<typeof provider>;

const agent = z.looseObject({
  name: z.string().optional(),
  default: z.boolean().optional(),
  workspace: z.string().optional(),
  model: modelChoice.optional(),
  thinkingDefault: z.string().optional(),
  subagents: z.looseObject({ allowAgents: z.array(z.string()).optional() }).optional(),
  identity: z
    .looseObject({ name: z.string().optional(), theme: z.string().optional(), emoji: z.string().optional() })
    .optional(),
});
export type AgentEntry = z.infer<typeof agent>;

/**
 * The part of OpenClaw's configuration that the pool reads. Objects are open: what is not named here is not checked,
 * because it is OpenClaw's to check, and what it would have meant is told as a warning (ignored-keys.ts).
 */
export const openclawConfigSchema = z.looseObject({
  gateway: z
    .looseObject({
      auth: z
        .looseObject({
          mode: z.enum(["none", "token", "password", "trusted-proxy"]).optional(),
          token: secretInput.optional(),
          password: secretInput.optional(),
        })
        .optional(),
      controlUi: z.looseObject({ allowedOrigins: z.array(z.string()).optional() }).optional(),
    })
    .optional(),
  agents: z
    .looseObject({
      defaults: z
        .looseObject({
          model: modelChoice.optional(),
          models: z.record(z.string(), z.looseObject({ alias: z.string().optional() })).optional(),
          workspace: z.string().optional(),
          thinkingDefault: z.string().optional(),
          timeoutSeconds: z.number().min(0).optional(),
          maxConcurrent: width.optional(),
          subagents: z
            .looseObject({
              maxConcurrent: width.optional(),
              maxSpawnDepth: width.optional(),
              maxChildrenPerAgent: width.optional(),
              allowAgents: z.array(z.string()).optional(),
            })
            .optional(),
          compaction: z
            .looseObject({
              enabled: z.boolean().optional(),
              keepRecentTokens: z.number().int().min(0).optional(),
              model: z.string().optional(),
              thinkingLevel: z.string().optional(),
            })
            .optional(),
          systemAgent: z.looseObject({ agentId: z.string().optional() }).optional(),
        })
        .optional(),
      list: z.array(agent.extend({ id: z.string().min(1) })).optional(),
      entries: z.record(z.string(), agent).optional(),
    })
    .optional(),
  models: z.looseObject({ providers: z.record(z.string(), provider).optional() }).optional(),
  messages: z
    .looseObject({
      queue: z
        .looseObject({
          mode: z.string().optional(),
          cap: z.number().optional(),
          drop: z.enum(["old", "new", "summarize"]).optional(),
          byChannel: z.looseObject({ webchat: z.string().optional() }).optional(),
        })
        .optional(),
    })
    .optional(),
  session: z.looseObject({ mainKey: z.string().optional(), scope: z.string().optional() }).optional(),
  cron: z.looseObject({ enabled: z.boolean().optional(), maxConcurrentRuns: width.optional() }).optional(),
});

export type OpenClawConfig = z.infer<typeof openclawConfigSchema>;
