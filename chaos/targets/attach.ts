import { directoryObjectStore } from "../../server/adapters/directory/object-store.ts";
import { deploymentPaths } from "../../server/supervisor/deployment.ts";
import { until } from "../../server/testing/until.ts";
import { canLimit } from "../faults/cgroup.ts";
import { openLocalDeployment } from "./local-deployment.ts";
import type { Capability, Target } from "./target.ts";

/**
 * A deployment of this machine that runs already, as its data directory tells of it. Only what can be done to running
 * processes is possible; it is left as it was, except for what the runs themselves store under their own tenants.
 * @throws HAError NOT_RUNNING where there is none
 */
export async function attachTarget(dataDir: string): Promise<Target> {
  const deployment = await openLocalDeployment(dataDir);
  const { addresses } = deployment;
  const paths = deploymentPaths(dataDir);
  const subjects = await deployment.subjects();
  const has = (id: string): boolean => subjects.some((subject) => subject.id === id);
  const limits: readonly Capability[] = canLimit() ? ["cpu", "memory"] : [];
  const stores: readonly Capability[] = has("postgres") && has("redis") ? ["stores"] : [];
  const { instances } = await deployment.view();
  const objects =
    addresses.objects.mode === "directory" ? directoryObjectStore({ dir: paths.objects }) : null;
  return {
    kind: "attach",
    capabilities: new Set(["signal", "rolling-restart", ...stores, ...limits]),
    gateways: () =>
      Promise.resolve(
        instances.filter(({ pool }) => pool === "gateway").map(({ id, url }) => ({ id, url: String(url) })),
      ),
    tenant: (id) => deployment.tenant(id),
    stores: {
      databaseUrl: addresses.postgresAdminUrl,
      redisUrl: addresses.redisUrl,
      demoModelUrl: deployment.demoModelUrl,
    },
    objects,
    folders: { objects: objects === null ? null : paths.objects, logs: paths.logs },
    subjects: () => deployment.subjects(),
    signal: (id, signal) => deployment.signal(id, signal),
    link: () => null,
    health: () => deployment.health(),
    async ready(timeoutMs) {
      await until(async () => (await deployment.health()).healthy, {
        timeoutMs,
        pollMs: 100,
        what: `a healthy deployment in ${dataDir}`,
      });
    },
    async close() {
      await objects?.close();
    },
  };
}
