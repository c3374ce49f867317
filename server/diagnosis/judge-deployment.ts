import type { DeploymentView } from "../supervisor/view.ts";
import { failing, type Finding, ok, warning } from "./finding.ts";

/** More restarts of one instance than chance explains. */
const RESTARTS_NOTABLE = 5;

/** What the state of a deployment's processes says. */
export function judgeDeployment(view: DeploymentView, supervised: boolean): Finding[] {
  if (view.phase === "stopped") {
    const failure = view.failure ? `; the last start failed: ${view.failure.message}` : "";
    return [warning(`deployment ${view.name} is stopped${failure}`, view.failure?.hint ?? "openclaw-ha up")];
  }
  const findings: Finding[] = [];
  findings.push(
    supervised
      ? ok(`deployment ${view.name} is ${view.phase}`)
      : warning(
          `deployment ${view.name} has no supervisor: what dies now stays dead`,
          "openclaw-ha up takes it over as it runs",
        ),
  );
  if (view.gateway !== null) findings.push(controlUi(view.gateway.controlUiUrl));
  for (const { id, restarts, state } of view.instances) {
    if (state === "crashed") {
      findings.push(failing(`${id} has crashed`, `openclaw-ha logs ${id}`));
    } else if (restarts >= RESTARTS_NOTABLE) {
      findings.push(warning(`${id} was restarted ${restarts} times`, `openclaw-ha logs ${id}`));
    }
  }
  return findings;
}

/** Nothing is wrong without it: other clients need none. */
const controlUi = (url: string | null): Finding =>
  ok(
    url === null
      ? "no Control UI is served: npm install -g openclaw and openclaw-ha up, or up --control-ui DIR"
      : `the Control UI is at ${url} (with its token: openclaw-ha env)`,
  );
