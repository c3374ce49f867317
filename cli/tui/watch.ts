import type { DeploymentView } from "../../server/supervisor/view.ts";
import type { CliContext } from "../context.ts";
import { statusText } from "../status-text.ts";
import { pollingSource } from "./use-snapshot.ts";

const EVERY_MS = 1_000;

/**
 * Shows a deployment until the signal aborts: the live screen on a terminal, else one result after another whenever
 * it has changed (with `--json` one object a line).
 */
export async function watch(
  context: CliContext,
  look: () => Promise<DeploymentView>,
  footer = "Ctrl-C ends this, not the deployment",
): Promise<void> {
  const { clock, output, signal } = context;
  const source = pollingSource(look, clock, EVERY_MS);
  if (output.rich) {
    const [{ render }, { Dashboard }, { h }] = await Promise.all([
      import("ink"),
      import("./dashboard.ts"),
      import("./h.ts"),
    ]);
    // Ctrl-C reaches us as a signal, as in every other command.
    const screen = render(h(Dashboard, { footer, signal, source }), { exitOnCtrlC: false });
    await screen.waitUntilExit();
    return;
  }
  let told = "";
  const stop = source(({ at, view }) => {
    const now = JSON.stringify(view);
    if (now === told) return;
    told = now;
    output.event(view, () => `${statusText(view, at)}\n`);
  });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  stop();
}
