import { asHAError, isHAError } from "../../server/core/errors.ts";
import { diagnoseStores } from "../../server/diagnosis/judge-stores.ts";
import { judgeDeployment } from "../../server/diagnosis/judge-deployment.ts";
import { diagnoseLeftovers } from "./leftovers.ts";
import { programFinder } from "../../server/wiring-programs.ts";
import {
  diagnoseDataDir,
  judgeNode,
  judgeOpenFiles,
  judgePrograms,
  openFilesLimit,
} from "../../server/diagnosis/judge-machine.ts";
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
  const limit = await openFilesLimit();
  if (limit !== null) findings.push(judgeOpenFiles(limit));
  const { env, projectRoot } = context;
  findings.push(...judgePrograms(programFinder({ packageRoot: projectRoot, env })));
  const processes = await diagnoseProcesses(context);
  findings.push(...processes.findings);
  const settings = await deploymentSettings(context).catch((error: unknown) => {
    // That there is no deployment has been told already.
    if (!isHAError(error, "NOT_RUNNING")) findings.push(configFinding(error));
    return null;
  });
  if (settings === null) return findings;
  findings.push(...diagnoseOpenClawConfig(settings));
  findings.push(...(await diagnoseStores(await context.openFacts(settings.config), processes.count)));
  return findings;
}

/** What runs here, and how many processes use the stores. */
async function diagnoseProcesses(
  context: CliContext,
): Promise<{ readonly findings: readonly Finding[]; readonly count: number }> {
  const { name, dataDir } = context.deployment;
  try {
    await loadDeployment(context.deployment);
    const { lookAtDeployment } = await import("./look-at-deployment.ts");
    const { view, supervised } = await lookAtDeployment(context.deployment);
    const findings = [
      ...(await diagnoseDataDir(dataDir)),
      ...(await diagnoseLeftovers(dataDir, view)),
      ...judgeDeployment(view, supervised),
    ];
    return { findings, count: view.instances.length };
  } catch (error) {
    if (!isHAError(error, "NOT_RUNNING")) return { findings: [configFinding(error)], count: 0 };
    if (context.env["OPENCLAW_HA_POSTGRES_URL"]) return { findings: [], count: 0 };
    const nothing = warning(
      `there is no deployment ${JSON.stringify(name)} in ${dataDir}`,
      "there is nothing to look at but this machine",
      "openclaw-ha up",
    );
    return { findings: [nothing], count: 0 };
  }
}

function diagnoseOpenClawConfig({ config, env }: DeploymentSettings): Finding[] {
  const { demoModelUrl, openclawConfigPath: file } = config;
  if (file === null) return [ok("no openclaw.json: one agent on the demo model")];
  try {
    const { catalog, warnings } = loadOpenClawConfig({ path: file, env, demoModelUrl });
    return [
      ok(`${file}: ${catalog.agents.length} agents, ${catalog.models.length} models`),
      ...warnings.map((text) => warning(text, "it has no effect here", `correct it in ${file}, or leave it`)),
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
  return failing([message, ...problems].join("; "), "no process can start with it", hint);
}
