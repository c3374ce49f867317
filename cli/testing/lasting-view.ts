import type { DeploymentView } from "../../server/supervisor/view.ts";

/** What two views of a deployment that nothing happens to have in common: not what it does, nor how fast stores answer. */
export const lastingView = ({ stores, ...rest }: DeploymentView) => ({
  ...rest,
  activity: null,
  queue: null,
  stores: Object.fromEntries(
    Object.entries(stores).map(([name, store]) => [name, { ...store, latencyMs: null, lagMs: null }]),
  ),
});
