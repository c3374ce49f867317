import { hostname } from "node:os";
import { isRunning, processIdentity } from "../adapters/local/process-table.ts";
import type { Docker } from "./docker.ts";

/** The process that containers, networks and volumes are made for; they are not to outlive it. */
export interface Owner {
  /** Names everything that is removed together; no two owners use the same. */
  readonly run: string;
  readonly pid: number;
  /** As process-table.ts tells processes apart. */
  readonly identity: string;
}

const RUN_LABEL = "openclaw-ha.run";
const OWNER_LABEL = "openclaw-ha.owner";
const HOST_LABEL = "openclaw-ha.host";
/** Something may be made while things are removed: it looks again, so often. */
const REMOVAL_ROUNDS = 5;

/** This process as an owner. */
export function ownerHere(run: string): Owner {
  return { run, pid: process.pid, identity: processIdentity(process.pid) ?? "" };
}

/** What everything of this owner carries, so that it is found also by those who know nothing of it. */
export const ownerLabels = ({ identity, pid, run }: Owner): Readonly<Record<string, string>> => ({
  [RUN_LABEL]: run,
  [OWNER_LABEL]: `${pid} ${identity}`,
  // Another machine may use the same engine: whether its processes run cannot be seen from here.
  [HOST_LABEL]: hostname(),
});

/** `--label` arguments of a docker command. */
export const labelArguments = (owner: Owner): string[] =>
  Object.entries(ownerLabels(owner)).flatMap(([label, value]) => ["--label", `${label}=${value}`]);

/** Removes the run's containers, running or not, with their volumes, and its networks. Safe to repeat. */
export async function removeRun(docker: Docker, run: string): Promise<void> {
  const filter = `label=${RUN_LABEL}=${run}`;
  for (let round = 1; ; round++) {
    const containers = ids(await docker.run(["ps", "--all", "--quiet", "--filter", filter]));
    // One that is being removed by somebody else is as good as removed: the next look tells.
    if (containers.length > 0) await docker.run(["rm", "--force", "--volumes", ...containers]).catch(ignore);
    const networks = ids(await docker.run(["network", "ls", "--quiet", "--filter", filter]));
    if (networks.length > 0) await docker.run(["network", "rm", ...networks]).catch(ignore);
    const volumes = ids(await docker.run(["volume", "ls", "--quiet", "--filter", filter]));
    if (volumes.length > 0) await docker.run(["volume", "rm", "--force", ...volumes]).catch(ignore);
    if (containers.length + networks.length + volumes.length === 0) return;
    if (round === REMOVAL_ROUNDS) throw new Error(`run ${run}: ${containers.join(" ")} cannot be removed`);
  }
}

/** Removes what processes of this machine left behind that are gone by now; answers the names of their runs. */
export async function removeOrphans(docker: Docker): Promise<readonly string[]> {
  const ownedHere = `label=${HOST_LABEL}=${hostname()}`;
  const format = `{{.Label "${RUN_LABEL}"}}\t{{.Label "${OWNER_LABEL}"}}`;
  const orphans = new Set<string>();
  for (const list of [
    ["ps", "--all"],
    ["network", "ls"],
    ["volume", "ls"],
  ]) {
    const rows = await docker.run([...list, "--filter", ownedHere, "--format", format]);
    for (const row of rows.split("\n").filter((line) => line !== "")) {
      const [run = "", owner = ""] = row.split("\t");
      const [pid = "", ...identity] = owner.split(" ");
      if (run !== "" && !isRunning(Number(pid), identity.join(" "))) orphans.add(run);
    }
  }
  for (const run of orphans) await removeRun(docker, run);
  return [...orphans];
}

const ids = (list: string): string[] => list.split("\n").filter((line) => line !== "");
const ignore = (): void => {};
