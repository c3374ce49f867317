import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startDemoModel } from "../../demo-model/main.ts";
import { guardFolder, storeFolder } from "../../testing/keep.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { startGenuine } from "./genuine.ts";
import { startPool } from "./pool.ts";
import type { RunningTarget } from "./script.ts";
import { warm } from "./warm.ts";

export interface Targets {
  readonly genuine: RunningTarget;
  readonly pool: RunningTarget;
  close(): Promise<void>;
}

/** What both are configured with: one agent on the demo model, with no tool but what the pool has as well. */
const configOf = (modelUrl: string, workspace: string): Readonly<Record<string, unknown>> => ({
  models: {
    mode: "replace",
    providers: {
      demo: {
        baseUrl: modelUrl,
        apiKey: "none",
        api: "openai-completions",
        models: [
          {
            id: "demo",
            name: "Demo model",
            reasoning: false,
            input: ["text", "image"],
            cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
            contextWindow: 200_000,
            maxTokens: 8_192,
          },
        ],
      },
    },
  },
  agents: {
    defaults: {
      model: { primary: "demo/demo" },
      workspace,
      heartbeat: { every: "0m" },
      skipBootstrap: true,
    },
  },
  tools: { profile: "minimal" },
});

/** The genuine gateway and a pool, side by side, with the same configuration and the same model server. */
export async function startTargets(): Promise<Targets> {
  const folder = await storeFolder("conformance");
  await guardFolder(folder);
  const model = await startDemoModel({ port: 0, logger: recordingLogger() });
  const folders = { genuine: join(folder, "genuine"), pool: join(folder, "pool") };
  for (const each of [...Object.values(folders), join(folder, "workspace")])
    await mkdir(each, { mode: 0o700 });
  const config = configOf(model.url, join(folder, "workspace"));
  const started = await Promise.allSettled([
    startGenuine(folders.genuine, config),
    startPool(folders.pool, config),
  ] as const);
  const close = async (): Promise<void> => {
    await Promise.all(started.filter((one) => one.status === "fulfilled").map(({ value }) => value.close()));
    await model.close();
  };
  const [genuine, pool] = started;
  if (genuine.status === "fulfilled" && pool.status === "fulfilled") {
    const targets = { genuine: genuine.value, pool: pool.value, close };
    await Promise.all([warm(targets.genuine), warm(targets.pool)]).catch(async (error: unknown) => {
      await close();
      throw error;
    });
    return targets;
  }
  await close();
  throw (genuine.status === "rejected" ? genuine : (pool as PromiseRejectedResult)).reason;
}
