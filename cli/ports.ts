import { HAError, isHAError, withHint } from "../server/core/errors.ts";
import { agentId, type SessionKey } from "../server/core/ids.ts";
import { canonicalSessionKey } from "../server/core/session-key.ts";
import type { EventBus } from "../server/ports/event-bus.ts";
import type { ObjectStore } from "../server/ports/object-store.ts";
import type { RunLedger } from "../server/ports/run-ledger.ts";
import type { RunQueue } from "../server/ports/run-queue.ts";
import type { SessionStore } from "../server/ports/session-store.ts";
import { type InstanceConfig, readInstanceConfig } from "../server/config.ts";
import type { CliContext, Environment } from "./context.ts";

/** The stores of a deployment, for commands that look at them or repair something in them. */
export interface DeploymentPorts {
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly queue: RunQueue;
  readonly bus: EventBus;
  readonly objects: ObjectStore;
  close(): Promise<void>;
}

/** What a process of the deployment would be configured with, and the environment that goes with it. */
export interface DeploymentSettings {
  readonly config: InstanceConfig;
  readonly env: Environment;
}

/**
 * From the deployment's data directory, or, where there is no deployment on this machine (inside a container, on an
 * operator's machine), from this process's own environment.
 * @throws HAError NOT_RUNNING when there is neither; CONFIG_INVALID
 */
export async function deploymentSettings(context: CliContext): Promise<DeploymentSettings> {
  const { env } = context;
  const { loadDeployment } = await import("./deployment.ts");
  try {
    const { addresses, secrets, state } = await loadDeployment(context.deployment);
    const { instanceSpecs } = await import("../server/supervisor/instances.ts");
    const { desired, ports } = state;
    const { environment } = secrets;
    const specs = desired === null ? [] : instanceSpecs({ addresses, desired, environment, ports });
    const control = specs.find(({ pool }) => pool === "control");
    if (control)
      return { config: readInstanceConfig("control", control.env), env: { ...env, ...environment } };
    throw new HAError("NOT_RUNNING", `deployment ${JSON.stringify(state.name)} has no control process`);
  } catch (error) {
    if (!isHAError(error, "NOT_RUNNING") || !env["OPENCLAW_HA_POSTGRES_URL"]) throw error;
    return { config: readInstanceConfig("control", env), env };
  }
}

/** Opens the stores, hands them to `use` and closes them again, whatever happens. */
export async function withPorts<T>(
  context: CliContext,
  use: (ports: DeploymentPorts) => Promise<T>,
): Promise<T> {
  const { config, env } = await deploymentSettings(context);
  const ports = await context.openPorts(config, env).catch((error: unknown) => {
    // An openclaw.json with errors must not keep anybody from looking at what is stored.
    if (!isHAError(error, "CONFIG_INVALID") || config.openclawConfigPath === null) throw error;
    context.output.warning(`${error.message}; see openclaw-ha doctor`);
    return context.openPorts({ ...config, openclawConfigPath: null }, env);
  });
  try {
    return await use(ports);
  } catch (thrown) {
    // Thrown as it came where there is nothing to add: interruptions are no errors of ours.
    if (!isHAError(thrown)) throw thrown;
    throw withHint(
      thrown,
      "STORE_UNAVAILABLE",
      `\`${context.program} doctor\` says more, \`${context.program} up\` starts what is down`,
    );
  } finally {
    await ports.close();
  }
}

/**
 * A session key as people type it: `notes` is the default agent's, as for the gateway. Only such short keys need the
 * configuration; where it cannot be read, the default agent is `main`.
 * @throws HAError REQUEST_INVALID
 */
export async function typedSessionKey(context: CliContext, typed: string): Promise<SessionKey> {
  if (typed.trim().toLowerCase().startsWith("agent:")) return canonicalSessionKey(typed, agentId("main"));
  try {
    const [{ loadOpenClawConfig }, { config, env }] = await Promise.all([
      import("../server/openclaw-config/load.ts"),
      deploymentSettings(context),
    ]);
    const { catalog } = loadOpenClawConfig({
      path: config.openclawConfigPath,
      env,
      demoModelUrl: config.demoModelUrl,
    });
    return canonicalSessionKey(typed, catalog.defaultAgentId, catalog.mainKey);
  } catch (error) {
    if (!isHAError(error, "CONFIG_INVALID")) throw error;
    return canonicalSessionKey(typed, agentId("main"));
  }
}
