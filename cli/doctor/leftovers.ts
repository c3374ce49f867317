import { readdir } from "node:fs/promises";
import { failing, type Finding, ok, warning } from "../../server/diagnosis/finding.ts";
import { deploymentPaths } from "../../server/supervisor/deployment.ts";
import { fileInstanceRecords } from "../../server/supervisor/instance-records.ts";
import { machineProcesses } from "../../server/supervisor/machine.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";

/** What earlier processes left in the data directory of a deployment: records of the dead, halves of files. */
export async function diagnoseLeftovers(dataDir: string, view: DeploymentView): Promise<Finding[]> {
  const records = await fileInstanceRecords(deploymentPaths(dataDir).run);
  const stale: string[] = [];
  const strangers: string[] = [];
  const known = new Set([...view.instances, ...(view.demoModel ? [view.demoModel] : [])].map(({ id }) => id));
  for (const id of await records.ids()) {
    const note = (await records.read(id)) ?? (await records.noted(id));
    const alive = note !== null && machineProcesses.identify(note.pid) === note.identity;
    if (!alive) stale.push(id);
    else if (!known.has(id)) strangers.push(`${id} (pid ${note.pid})`);
  }
  const halves = (await readdir(dataDir)).filter((name) => name.endsWith(".tmp"));
  const findings = [
    ...strangers.map((name) =>
      failing(
        `${name} runs and is no part of the deployment`,
        "it works on the same stores with an older configuration",
        "openclaw-ha up, which ends it",
      ),
    ),
    ...(stale.length === 0
      ? []
      : [
          warning(
            `records of processes that are gone: ${stale.join(", ")}`,
            "they died unseen; nothing else is wrong with a record",
            "openclaw-ha up starts them again, openclaw-ha down clears them",
          ),
        ]),
    ...(halves.length === 0
      ? []
      : [
          warning(
            `files that were not written to their end: ${halves.join(", ")}`,
            "a write was cut; what they were to replace is whole",
            `rm ${halves.map((name) => `${dataDir}/${name}`).join(" ")}`,
          ),
        ]),
  ];
  return findings.length > 0 ? findings : [ok("no process and no file is left over from earlier")];
}
