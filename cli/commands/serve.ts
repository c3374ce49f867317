import { Argument, Command } from "commander";
import type { InstanceRole } from "../../server/config.ts";
import type { CliContext } from "../context.ts";

const ROLES = ["gateway", "worker", "control", "all"] as const satisfies readonly InstanceRole[];
/** Processes that the supervisor starts beside the pool's, and the supervisor itself. */
const HELPERS = ["demo-model", "supervisor"] as const;

export const serveCommand = (context: CliContext): Command =>
  new Command("serve")
    .description("run one process in the foreground: what containers run")
    .addArgument(
      new Argument("<role>", "all is gateway, worker and control in one").choices([...ROLES, ...HELPERS]),
    )
    .addHelpText(
      "after",
      `
Configured by the environment:
  OPENCLAW_HA_POSTGRES_URL       the authority; the database must be migrated (openclaw-ha up does it)
  OPENCLAW_HA_REDIS_URL          queue and events; without it workers poll PostgreSQL
  OPENCLAW_HA_NATS_URL           events over NATS instead
  OPENCLAW_HA_OBJECTS_DIR        or OPENCLAW_HA_S3_BUCKET, _S3_ENDPOINT, _S3_REGION and AWS_* keys
  OPENCLAW_HA_OPENCLAW_CONFIG    OpenClaw's openclaw.json: agents, models, providers
  OPENCLAW_HA_DEMO_MODEL_URL     model of agents where none is configured
  OPENCLAW_HA_INSTANCE           name over restarts (ROLE-1)
  OPENCLAW_HA_HOST, _PORT        own address of a gateway (127.0.0.1, any free port)
  OPENCLAW_HA_SHARED_PORT        port that all gateways of the machine share
  OPENCLAW_HA_SLOTS, _POOLS      sessions that a worker executes at once (64), pools that it serves (shared)
  OPENCLAW_HA_DRAIN_GRACE_MS     what a drain may take before runs are handed over (10000)
  OPENCLAW_HA_LOG_LEVEL          debug, info, warn, error or silent (info)
The log is on stdout, one JSON object a line. SIGTERM drains, a second one ends at once.`,
    )
    .action((role: (typeof ROLES)[number] | (typeof HELPERS)[number]) => {
      switch (role) {
        case "gateway":
        case "worker":
        case "control":
        case "all":
          return serveInstance(context, role);
        case "demo-model":
          return serveDemoModel(context);
        case "supervisor":
          return serveSupervisor(context);
        default:
          return role satisfies never;
      }
    });

async function serveInstance({ env, signal, version }: CliContext, role: InstanceRole): Promise<void> {
  const [{ readInstanceConfig }, { serve }, { instanceLogger }] = await Promise.all([
    import("../../server/config.ts"),
    import("../../server/serve.ts"),
    import("../../server/wiring.ts"),
  ]);
  const config = readInstanceConfig(role, env);
  const logger = instanceLogger(config.instance, config.logLevel);
  await serve({ role, config, env, logger, version, signal });
}

async function serveDemoModel({ env, signal }: CliContext): Promise<void> {
  const [{ readListenConfig }, { startDemoModel }, { instanceLogger }] = await Promise.all([
    import("../../server/config.ts"),
    import("../../server/demo-model/main.ts"),
    import("../../server/wiring.ts"),
  ]);
  const { host, port, instance, logLevel } = readListenConfig("demo-model", env);
  const scriptFile = env["OPENCLAW_HA_DEMO_SCRIPT"] || undefined;
  const model = await startDemoModel({ host, port, scriptFile, logger: instanceLogger(instance, logLevel) });
  await aborted(signal);
  await model.close();
}

async function serveSupervisor(context: CliContext): Promise<void> {
  const { clock, deployment, env, projectRoot, random, signal } = context;
  const [
    { readListenConfig },
    { superviseMachine },
    { supervisorDatabase },
    { programOf },
    { instanceLogger },
  ] = await Promise.all([
    import("../../server/config.ts"),
    import("../../server/supervisor/main.ts"),
    import("../../server/supervisor-database.ts"),
    import("../supervisor.ts"),
    import("../../server/wiring.ts"),
  ]);
  const { logLevel } = readListenConfig("supervisor", env);
  await superviseMachine({
    ...deployment,
    clock,
    random,
    env,
    signal,
    logger: instanceLogger("supervisor", logLevel),
    database: supervisorDatabase(),
    program: programOf(context),
    version: context.version,
    packageRoot: projectRoot,
  });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
