import type { DeploymentView } from "../supervisor/view.ts";
import { failing, type Finding, ok, warning } from "./finding.ts";

/** More restarts of one instance than chance explains. */
const RESTARTS_NOTABLE = 5;

/** What the state of a deployment's processes says. */
export function judgeDeployment(view: DeploymentView, supervised: boolean): Finding[] {
  if (view.phase === "stopped") {
    const failure = view.failure ? `; the last start failed: ${view.failure.message}` : "";
    return [
      warning(
        `deployment ${view.name} is stopped${failure}`,
        "nobody is answered",
        view.failure?.hint ?? "openclaw-ha up",
      ),
    ];
  }
  const findings: Finding[] = [];
  findings.push(
    supervised
      ? ok(`deployment ${view.name} is ${view.phase}`)
      : warning(
          `deployment ${view.name} has no supervisor`,
          "what dies now stays dead",
          "openclaw-ha up takes it over as it runs",
        ),
  );
  if (view.gateway !== null) findings.push(controlUi(view.gateway.controlUiUrl));
  for (const [name, { healthy }] of Object.entries(view.stores)) {
    if (healthy) continue;
    findings.push(failing(`${name} does not answer`, STORE_AWAY[name] ?? "", `openclaw-ha logs ${name}`));
  }
  for (const { id, restarts, state } of view.instances) {
    if (state === "crashed") {
      findings.push(
        failing(`${id} has crashed`, "its pool is smaller until it is back", `openclaw-ha logs ${id}`),
      );
    } else if (restarts >= RESTARTS_NOTABLE) {
      findings.push(
        warning(
          `${id} was restarted ${restarts} times`,
          "each time its clients reconnect and its runs begin another attempt",
          `openclaw-ha logs ${id} --level error`,
        ),
      );
    }
  }
  return findings;
}

/** What a deployment does without a store. */
const STORE_AWAY: Readonly<Record<string, string>> = {
  postgres: "nothing is accepted until it is back",
  redis: "runs go on, slower: workers ask PostgreSQL, and clients see ends only",
  nats: "runs go on, and clients see ends only",
  objects: "attachments are refused, and large messages stay in PostgreSQL",
};

/** Nothing is wrong without it: other clients need none. */
const controlUi = (url: string | null): Finding =>
  ok(
    url === null
      ? "no Control UI is served: npm install -g openclaw and openclaw-ha up, or up --control-ui DIR"
      : `the Control UI is at ${url} (with its token: openclaw-ha env)`,
  );
