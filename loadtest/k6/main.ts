import http from "k6/http";
import execution from "k6/execution";
import { startClient } from "./lib/client.ts";
import { failureOfStatus } from "./lib/failure.ts";
import { countFailure, countRequest } from "./lib/metrics.ts";
import type { Plan } from "./lib/plan.ts";

const plan = JSON.parse(open(__ENV["LOADTEST_PLAN"] ?? "")) as Plan;

export const options = plan.options;

interface Begin {
  /** Wall clock of the first message. */
  readonly loadBeganAt: number;
}

/** Once, before the clients: so that they all count from the same moment. */
export function setup(): Begin {
  return { loadBeganAt: Date.now() + plan.connectSeconds * 1_000 };
}

/** One VU: some of the clients of a group; the scenario's name is the group's. It ends when they have. */
export function clients({ loadBeganAt }: Begin): void {
  const group = plan.groups.find(({ name }) => name === execution.scenario.name);
  if (group === undefined) throw new Error(`no group ${execution.scenario.name} in the plan`);
  const first = execution.scenario.iterationInTest * group.clientsPerVu;
  const end = Math.min(first + group.clientsPerVu, group.clients);
  for (let index = first; index < end; index++) startClient(plan, group, index, loadBeganAt);
}

const PROBES = ["/healthz", "/readyz"];

/** What a load balancer asks, as often as one does. */
export function probe(): void {
  const tags = { class: "probe", phase: "probe" };
  for (const path of PROBES) {
    countRequest("probe", tags);
    const { status } = http.get(`${plan.probeUrl ?? ""}${path}`, { timeout: "5s" });
    const failure = failureOfStatus(status);
    if (failure !== null) countFailure(failure, "probe", tags);
  }
}

/** The only result that k6 hands over; where this is missing there is none. */
export const handleSummary = (data: unknown): Record<string, string> => ({
  [plan.summaryFile]: JSON.stringify(data),
});
