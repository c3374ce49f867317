import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { isHAError } from "../server/core/errors.ts";
import { choiceOfFile, type TopologyChoice } from "../server/deployment-config/choice.ts";
import { loadDeploymentFile } from "../server/deployment-config/load.ts";
import { loadOpenClawConfig } from "../server/openclaw-config/load.ts";
import { readFileIfThere } from "../server/supervisor/atomic-file.ts";
import type { ApplyRequest } from "../server/supervisor/contract.ts";
import type { DesiredTopology } from "../server/supervisor/deployment.ts";
import { readDeployment } from "../server/supervisor/deployment.ts";
import { searchFolders } from "../server/supervisor/machine-parts.ts";
import { installMissing, missingError, missingPrograms } from "../server/supervisor/requirements.ts";
import { readSecrets } from "../server/supervisor/secrets.ts";
import type { DeploymentView } from "../server/supervisor/view.ts";
import type { CliContext } from "./context.ts";
import type { UpFlags } from "./desired-topology.ts";
import {
  choiceOfEnvironment,
  choiceOfFlags,
  refuseOtherTopology,
  requireTopology,
  resolveTopology,
} from "./desired-topology.ts";
import { findControlUi, namedControlUi } from "./find-control-ui.ts";
import { statusText } from "./status-text.ts";
import { currentView, order } from "./supervisor.ts";

export interface BringUpFlags extends UpFlags {
  readonly foreground?: boolean;
  readonly install?: boolean;
  readonly plan?: boolean;
}

/**
 * Starts or changes the deployment and waits until it is ready. Everything that can be told wrong beforehand is told
 * before anything starts.
 * @throws HAError REQUEST_INVALID (2), MISSING_DEPENDENCY and STORE_UNAVAILABLE (69), CONFIG_INVALID (78)
 */
export async function bringUp(
  context: CliContext,
  topology: string | undefined,
  flags: BringUpFlags,
): Promise<void> {
  const { output, signal } = context;
  const request = await requestOf(context, topology, flags);
  if (flags.plan === true) return tellPlan(context, request);
  await requirePrograms(context, request.desired, flags.install === true);
  const progress = (text: string): void => output.progress(text);
  try {
    const view = await order(context, (supervisor) => supervisor.apply(request, progress, signal));
    if (flags.foreground === true) {
      const { foreground } = await import("./foreground.ts");
      return await foreground(context, view);
    }
    output.result(view, (ready) => upText(ready, context));
  } catch (error) {
    if (signal.aborted && !isHAError(error)) {
      output.progress(
        `not waiting any longer: the deployment goes on starting (${context.program} status, ${context.program} down)`,
      );
    }
    throw error;
  }
}

/** What a plain `up` would ask of a deployment that there is. @throws HAError CONFIG_INVALID */
export const requestOfUp = (context: CliContext): Promise<ApplyRequest> => requestOf(context, undefined, {});

/** What `up` would do, and nothing of it done. @throws HAError CONFIG_INVALID as `up` would */
async function tellPlan(context: CliContext, request: ApplyRequest): Promise<void> {
  const [{ planChange }, { planText }] = await Promise.all([
    import("../server/supervisor/plan.ts"),
    import("./plan-text.ts"),
  ]);
  const plan = await planChange(context.deployment.dataDir, request, await currentView(context));
  context.output.result(plan, planText);
}

/** What is asked for, with everything that it refers to read and checked. */
async function requestOf(
  context: CliContext,
  topology: string | undefined,
  flags: UpFlags,
): Promise<ApplyRequest> {
  const { configFile, cwd, deployment, env } = context;
  const known = { ...(await readSecrets(deployment.dataDir))?.environment, ...given(env) };
  const choices: TopologyChoice[] = [
    choiceOfFlags(topology, flags, cwd),
    choiceOfEnvironment(env, cwd),
    ...(configFile === null ? [] : [choiceOfFile(loadDeploymentFile(configFile, env), configFile)]),
  ];
  const kept = (await readDeployment(deployment.dataDir))?.desired ?? null;
  const asked = choices.find((choice) => choice.topology !== undefined)?.topology;
  refuseOtherTopology(kept, asked ?? kept?.topology ?? "v2", context.program);
  requireTopology(asked ?? "v2");
  const { desired, limits, tenants, urls } = resolveTopology(choices, kept);
  const config = await readConfig(context, known, desired);
  return {
    tenants,
    ...(limits === undefined ? {} : { limits }),
    desired: {
      ...desired,
      configRevision: config.revision,
      controlUi: controlUiOf(context, desired, kept),
    },
    secrets: {
      ...urls,
      ...(config.token === null ? {} : { gatewayToken: config.token }),
      environment: pick(known, [
        ...config.environmentNames,
        ...(desired.objects.mode === "s3" ? AWS_NAMES : []),
      ]),
    },
  };
}

/** Where the keys of S3 come from; instances need them under these names. */
const AWS_NAMES = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/** Variables that say something: a later `up` may come from a shell that has not all of an earlier one's. */
const given = (env: CliContext["env"]): CliContext["env"] =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""));

/** @throws HAError CONFIG_INVALID with every error of openclaw.json */
async function readConfig(
  { output }: CliContext,
  env: CliContext["env"],
  { openclawConfig }: DesiredTopology,
) {
  // The address is not known yet; that there is a demo model is all that matters for checking the file.
  const settings = loadOpenClawConfig({ path: openclawConfig, env, demoModelUrl: "http://127.0.0.1/v1" });
  for (const warning of settings.warnings) output.warning(warning);
  const text = openclawConfig === null ? null : await readFileIfThere(openclawConfig);
  return {
    token: settings.gatewayToken,
    environmentNames: settings.environmentNames,
    revision: text === null ? null : createHash("sha256").update(text).digest("hex").slice(0, 16),
  };
}

async function requirePrograms(
  context: CliContext,
  desired: DesiredTopology,
  install: boolean,
): Promise<void> {
  const { env, output, projectRoot, signal } = context;
  const folders = searchFolders({ env, packageRoot: projectRoot });
  const missing = missingPrograms(desired, folders);
  const [first] = missing;
  if (first === undefined) return;
  if (!install) throw missingError(first, folders);
  await installMissing(missing, folders, env, (text) => output.progress(text), signal);
}

/** The one that was named now, else the kept one while it is there, else an installed one; null where there is none. */
function controlUiOf(
  { cwd, env }: CliContext,
  desired: DesiredTopology,
  kept: DesiredTopology | null,
): string | null {
  const { controlUi } = desired;
  if (controlUi !== null && controlUi !== kept?.controlUi) return namedControlUi(controlUi);
  if (controlUi !== null && existsSync(path.join(controlUi, "index.html"))) return controlUi;
  return findControlUi(cwd, env);
}

function pick(env: CliContext["env"], names: readonly string[]): Record<string, string> {
  const entries = names.map((name): [string, string] => [name, env[name] ?? ""]);
  return Object.fromEntries(entries.filter(([, value]) => value !== ""));
}

const upText = (view: DeploymentView, { clock, program }: CliContext): string =>
  `${statusText(view, clock.now())}\n\nnext: ${program} send "hello"    addresses and tokens: ${program} env`;
