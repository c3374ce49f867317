import { asHAError, isHAError } from "../../server/core/errors.ts";
import { diagnoseStores } from "../../server/diagnosis/judge-stores.ts";
import { judgeDeployment } from "../../server/diagnosis/judge-deployment.ts";
import { diagnoseDataDir, judgeNode } from "../../server/diagnosis/judge-machine.ts";
import { failing, type Finding, ok, warning } from "../../server/diagnosis/finding.ts";
import { loadOpenClawConfig } from "../../server/openclaw-config/load.ts";
import type { CliContext } from "../context.ts";
import { loadDeployment } from "../deployment.ts";
import { deploymentSettings, type DeploymentSettings } from "../ports.ts";

/**
 * Looks at everything that can be looked at. What cannot, because something before it is missing, is left out: its
 * absence has been told by then.
 */
export async function diagnose(context: CliContext): Promise<Finding[]> {
  const findings: Finding[] = [judgeNode(context.nodeVersion)];
  findings.push(...(await diagnoseProcesses(context)));
  const settings = await deploymentSettings(context).catch((error: unknown) => {
    // That there is no deployment has been told already.
    if (!isHAError(error, "NOT_RUNNING")) findings.push(configFinding(error));
    return null;
  });
  if (settings === null) return findings;
  findings.push(...diagnoseOpenClawConfig(settings));
  findings.push(...(await diagnoseStores(await context.openFacts(settings.config))));
  return findings;
}

async function diagnoseProcesses(context: CliContext): Promise<Finding[]> {
  const { name, dataDir } = context.deployment;
  try {
    await loadDeployment(context.deployment);
    const { lookAtDeployment } = await import("./look-at-deployment.ts");
    const { view, supervised } = await lookAtDeployment(context.deployment);
    return [...(await diagnoseDataDir(dataDir)), ...judgeDeployment(view, supervised)];
  } catch (error) {
    if (!isHAError(error, "NOT_RUNNING")) return [configFinding(error)];
    if (context.env["OPENCLAW_HA_POSTGRES_URL"]) return [];
    return [warning(`there is no deployment ${JSON.stringify(name)} in ${dataDir}`, "openclaw-ha up")];
  }
}

function diagnoseOpenClawConfig({ config, env }: DeploymentSettings): Finding[] {
  const { demoModelUrl, openclawConfigPath: file } = config;
  if (file === null) return [ok("no openclaw.json: one agent on the demo model")];
  try {
    const { catalog, warnings } = loadOpenClawConfig({ path: file, env, demoModelUrl });
    return [
      ok(`${file}: ${catalog.agents.length} agents, ${catalog.models.length} models`),
      ...warnings.map((text) => warning(text, `correct it in ${file}, or leave it`)),
    ];
  } catch (error) {
    return [configFinding(error)];
  }
}

function configFinding(thrown: unknown): Finding {
  const { message, details } = asHAError(thrown);
  const problems = Array.isArray(details["problems"]) ? details["problems"].map(String) : [];
  const hint =
    typeof details["hint"] === "string" ? details["hint"] : "correct it and start again (openclaw-ha up)";
  return failing([message, ...problems].join("; "), hint);
}
